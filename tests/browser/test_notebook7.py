"""The same sizes in Notebook 7, where each notebook has a browser tab of its own."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.browser.lab import chromium
from tests.server.servers import TOKEN, Home, serving

SHOW = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"


async def test_pick_run_shut_down(user: Home) -> None:
    """From the file list's New menu to the end of the kernel."""
    async with serving(user, app="notebook") as server, chromium() as page:
        await page.goto(f"{server.url}/tree?token={TOKEN}")
        await page.get_by_role("menuitem", name="New").first.click()
        item = page.locator(".lm-Menu-item", has_text=re.compile(r"\(1g\.10gb\)"))
        async with page.context.expect_page() as opening:
            await item.first.click()
        notebook = await opening.value
        await expect(notebook.locator(".jp-Toolbar-kernelName")).to_contain_text("(1g.10gb)")
        cell = notebook.locator(".jp-CodeCell .cm-content").last
        await cell.click()
        await notebook.keyboard.insert_text(SHOW)
        await notebook.keyboard.press("Shift+Enter")
        output = notebook.locator(".jp-OutputArea-output")
        await expect(output).to_contain_text("MIG-")
        (lease,) = await user.leases()
        assert lease.slice is not None
        assert lease.slice.mig_uuid in await output.inner_text()
        assert lease.label == "Untitled.ipynb"
        kernel = await server.ask("DELETE", f"api/kernels/{lease.kernel_id}")
        assert kernel.status == 204
        await user.empty()
