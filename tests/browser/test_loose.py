"""Kernels that hold slices and that no notebook shows."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.lab import Lab, lab, save_notebook
from tests.server.servers import Home


async def test_kernels_without_a_notebook_get_one(user: Home) -> None:
    """They are listed; one whose notebook is there and has no kernel goes back to that, for the
    other a new one is opened, which takes it on as it is. Then they are like any others.
    """
    save_notebook(user, "train.ipynb", "")
    user.kernelspec("train", "1g.5gb", JPY_SESSION_NAME=str(user.notebooks / "train.ipynb"))
    async with lab(user) as page:
        kernel_ids = [await page.server.start(each) for each in ("python3-mig-1g.5gb", "train")]
        for kernel_id in kernel_ids:
            await page.server.run(kernel_id, f"kept = {kernel_id!r}")
        await page.command("jupyter-mig:open-panel")
        loose = page.panel.get_by_role("region", name="Without a notebook")
        await expect(loose).to_contain_text("1g.5gb")
        await page.picture("loose")
        await loose.get_by_role("button", name="Open a kernel in a notebook").click()
        await _shows(page, kernel_ids[0])
        await loose.get_by_role("button", name="Open train.ipynb in a notebook").click()
        await expect(
            page.page.get_by_role("tab", name="train.ipynb", selected=True)
        ).to_be_visible()
        await _shows(page, kernel_ids[1])
        await expect(loose).to_have_count(0)
        assert {lease.kernel_id for lease in await user.leases()} == set(kernel_ids)


async def _shows(page: Lab, kernel_id: str) -> None:
    """The notebook in front has that kernel, with what was kept there."""
    await page.page.wait_for_function(
        "id => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.id === id",
        arg=kernel_id,
    )
    await page.is_idle()
    await page.run_cell("print(kept)")
    await expect(page.output).to_have_text(kernel_id)


async def test_a_kernel_without_a_notebook_is_shut_down(user: Home) -> None:
    """Its slice is free then."""
    async with lab(user) as page:
        await page.server.start("python3-mig-1g.5gb")
        await page.command("jupyter-mig:open-panel")
        loose = page.panel.get_by_role("region", name="Without a notebook")
        await loose.get_by_role("button", name="Shut down").click()
        await page.accept()
        await user.empty()
