"""What a slice does, beside how full it is: in the status bar and, with its past, in the panel."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.lab import Theme, lab
from tests.server.servers import Home, home

WORK = """
import itertools, time
held = []
for step in itertools.count():
    if len(held) < 48:
        held.append(b'1' * 2**26)
    busy_until = time.monotonic() + step % 7 / 3
    while time.monotonic() < busy_until:
        pass
    time.sleep(0.5)
"""

NOTEBOOKS = {"eval.ipynb": "1g.10gb", "embed.ipynb": "1g.20gb", "train.ipynb": "2g.20gb"}


@pytest_asyncio.fixture
async def user() -> AsyncIterator[Home]:
    """One user on a node with an H100, which counts what its slices do."""
    async with home("simulated:1xH100 80GB HBM3?time_scale=0") as one:
        yield one


@pytest.mark.parametrize("theme", ["Light", "Dark"])
async def test_a_busy_kernel_is_seen_to_be(user: Home, theme: Theme) -> None:
    """Its utilization with what was measured and how; its curves; what the whole GPU draws."""
    async with lab(user, theme=theme) as page:
        await page.page.set_viewport_size({"width": 1280, "height": 1000})
        for name, size in NOTEBOOKS.items():
            await page.open_notebook(name, size)
            await page.is_idle()
        await page.open_notebook("sweep.ipynb", "7g.80gb")
        await page.show("train.ipynb")
        await expect(page.slice).to_contain_text("2g.20gb")
        await page.run_cell(WORK)
        await page.command("jupyter-mig:open-panel")
        await expect(page.slice).to_contain_text(re.compile(r"SM [1-9]\d* %"))
        here = page.panel.get_by_role("region", name="This notebook")
        await expect(here).to_contain_text("Utilization (SM, GPM)")
        await expect(here).to_contain_text(re.compile(r"[1-3]\.\d of 19\.\d GiB"))
        await expect(here.get_by_role("img", name="Memory of train.ipynb, last")).to_be_visible()
        await expect(here.get_by_role("img", name="Utilization of train.ipynb")).to_be_visible()
        await expect(page.panel).to_contain_text(
            re.compile(r"\d+ W · \d+ °C, shared by all slices")
        )
        mine = page.panel.get_by_role("region", name="My kernels")
        await expect(mine.get_by_role("listitem").filter(has_text="train")).to_contain_text("SM")
        details = await page.slice.get_by_role("button").first.get_attribute("title")
        assert re.search(r"SM \d+ %.* \(GPM\)", details or "")
        await page.let_time_pass(45)
        await page.picture(f"usage-{theme}")
        await page.part(page.panel, f"usage-only-{theme}")
        await page.part(page.statusbar, f"status-busy-{theme}")
