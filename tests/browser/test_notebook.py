"""Notebook 7 has no status bar, and the same extension."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.lab import notebook
from tests.server.servers import Home


async def test_the_panel_in_notebook_7(user: Home) -> None:
    """One command away, with the slice of the notebook and what is free."""
    async with notebook(user, "train.ipynb", "2g.10gb") as page:
        await page.command("jupyter-mig:open-panel")
        mine = page.panel.get_by_role("region", name="This notebook")
        await expect(mine).to_contain_text("2g.10gb · GPU 0")
        await expect(page.panel).to_contain_text("1g.5gb 5 free")
        await page.picture("notebook-7")


async def test_another_size_in_notebook_7(user: Home) -> None:
    """The toolbar button and JupyterLab's dialog are there too."""
    async with notebook(user, "train.ipynb", "1g.5gb") as page:
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")
        await page.size_button.click()
        await page.picture("notebook-7-sizes")
        await page.size_menu.get_by_role("menuitem", name="2g.10gb").click()
        await page.accept()
        await expect(page.size_button).to_have_text("GPU: 2g.10gb")
        await page.choose_kernel("(1g.10gb)")
        await expect(page.size_button).to_have_text("GPU: 1g.10gb")
