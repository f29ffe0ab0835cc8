"""Kernels that hold slices and that no notebook shows."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.lab import lab
from tests.server.servers import Home


async def test_a_kernel_without_a_notebook_gets_one(user: Home) -> None:
    """It is listed, a new notebook takes it on as it is, and then it is like any other."""
    async with lab(user) as page:
        kernel_id = await page.server.start("python3-mig-1g.5gb")
        await page.server.run(kernel_id, "kept = 'still here'")
        await page.command("jupyter-mig:open-panel")
        loose = page.panel.get_by_role("region", name="Without a notebook")
        await expect(loose).to_contain_text("1g.5gb")
        await page.picture("loose")
        await loose.get_by_role("button", name="in a notebook").click()
        await expect(page.notebook).to_be_visible()
        await page.is_idle()
        await page.run_cell("print(kept)")
        await expect(page.output).to_have_text("still here")
        await expect(loose).to_have_count(0)
        assert [lease.kernel_id for lease in await user.leases()] == [kernel_id]


async def test_a_kernel_without_a_notebook_is_shut_down(user: Home) -> None:
    """Its slice is free then."""
    async with lab(user) as page:
        await page.server.start("python3-mig-1g.5gb")
        await page.command("jupyter-mig:open-panel")
        loose = page.panel.get_by_role("region", name="Without a notebook")
        await loose.get_by_role("button", name="Shut down").click()
        await page.accept()
        await user.empty()
