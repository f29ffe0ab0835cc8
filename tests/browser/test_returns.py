"""Networks, servers and laptops that are gone for a while."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.browser.lab import lab
from tests.server.servers import Home

SOON_MS = 10_000
"""Well before the next poll of a page that has backed off."""


async def test_a_network_that_is_gone_and_back(user: Home) -> None:
    """The slice is still the kernel's, and the page is up to date once there is a network."""
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await page.command("jupyter-mig:open-panel")
        await expect(page.slice).to_contain_text("of 4.8 GiB")
        await page.page.context.set_offline(True)
        await expect(page.slice).to_contain_text("server unreachable, slice still yours")
        await expect(page.panel.get_by_role("alert")).to_be_visible()
        await expect(page.panel).to_contain_text("train.ipynb")
        await page.picture("server-unreachable")
        await page.page.context.set_offline(False)
        await expect(page.slice).to_contain_text("of 4.8 GiB", timeout=SOON_MS)
        await expect(page.panel.get_by_role("alert")).to_have_count(0)


async def test_a_laptop_that_slept(user: Home) -> None:
    """What was meanwhile is asked of the server: the page's clock stood still, or jumped."""
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await page.command("jupyter-mig:open-panel")
        curve = page.panel.get_by_role("img", name=re.compile("Memory of train.ipynb, last")).first
        await expect(curve).to_be_visible()
        async with page.page.expect_request("**/jupyter-mig/api/history*", timeout=SOON_MS):
            await page.page.evaluate("const now = Date.now; Date.now = () => now() + 3.6e6")
        await expect(curve).to_be_visible()


async def test_a_page_that_is_loaded_again(user: Home) -> None:
    """The past of the slice is there at once, and nothing is announced a second time."""
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await page.run_cell("held = b'1' * 2**30")
        await page.command("jupyter-mig:open-panel")
        await expect(page.slice).to_contain_text("1.1 of 4.8 GiB")
        await page.page.reload()
        await page.command("jupyter-mig:open-panel")
        here = page.panel.get_by_role("region", name="This notebook")
        await expect(here.get_by_role("img", name="Memory of train.ipynb, last")).to_be_visible()
        await expect(page.slice).to_contain_text("1.1 of 4.8 GiB")
        await expect(page.page.locator(".Toastify__toast")).to_have_count(0)
