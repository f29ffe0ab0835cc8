"""The toolbar button "GPU: 1g.5gb": another size for the same notebook."""

from __future__ import annotations

from playwright.async_api import Locator, expect

from jupyter_mig.wire.messages import LeaseRequest
from tests.browser.lab import Lab, lab
from tests.server.servers import Home

PROFILE = "import os; print(os.environ['JUPYTER_MIG_PROFILE'])"


def _row(page: Lab, size: str) -> Locator:
    return page.size_menu.get_by_role("menuitem", name=size)


async def _hold(user: Home, size: str) -> str:
    """A slice that another notebook holds; the lease."""
    return (await user.client.acquire(LeaseRequest("other", size, "other.ipynb"))).lease_id


async def test_another_size_for_the_same_notebook(user: Home) -> None:
    """The menu says what is free, the dialog what is lost; then the notebook has the new slice."""
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")
        await page.size_button.click()
        mine = page.size_menu.get_by_role("menuitemcheckbox", name="1g.5gb")
        await expect(mine).to_have_attribute("aria-checked", "true")
        await expect(mine).to_contain_text("yours")
        await expect(_row(page, "1g.10gb")).to_contain_text("3 of 4 free")
        await expect(_row(page, "7g.40gb")).to_contain_text("none free now")
        await page.picture("size-menu")
        await _row(page, "2g.10gb").click()
        await expect(page.dialog).to_contain_text("train.ipynb")
        await expect(page.dialog).to_contain_text("all variables are lost")
        await page.picture("size-sure")
        await page.accept()
        await expect(page.size_button).to_have_text("GPU: 2g.10gb")
        await expect(page.kernel_button).to_have_text("Python 3  (2g.10gb) simulated")
        await page.run_cell(PROFILE)
        await expect(page.output).to_have_text("2g.10gb")
        await page.picture("size-changed")
        assert [lease.size for lease in await user.leases()] == ["2g.10gb"]
