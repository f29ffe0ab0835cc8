"""JupyterLab behind a JupyterHub, in Chromium."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from playwright.async_api import expect

from tests.broker.system.shared_node import lacking
from tests.browser.lab import Lab, chromium
from tests.hub.hubs import hub

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())


async def test_a_user_picks_a_size_and_sees_the_slice() -> None:
    """From the Hub's login to a cell that runs on the slice, below the Hub's prefix."""
    async with hub(1) as one, chromium() as page:
        (name,) = one.users
        await page.goto(f"{one.url}/hub/login?next=/hub/spawn")
        await page.get_by_label("Username").fill(name)
        await page.get_by_label("Password").fill("any")
        await page.get_by_role("button", name="Sign in").click()
        await page.locator(".jp-LauncherCard").first.wait_for()
        assert f"/user/{name}/lab" in page.url
        server: Any = SimpleNamespace(user=None)
        lab = Lab(page, server)
        await lab.new_notebook("1g.5gb")
        await expect(lab.slice).to_contain_text("1g.5gb")
        await expect(lab.slice).to_contain_text("simulated")
        await lab.is_idle()
        await lab.run_cell("import os; print(os.getuid(), os.environ['CUDA_VISIBLE_DEVICES'])")
        await expect(lab.output).to_contain_text("MIG-")
        await lab.picture("behind-a-hub")
