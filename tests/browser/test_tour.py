"""The tour: a person picks a size, fills it, is warned, changes it, waits in line, thinks better of
it, and leaves. With pictures wanted, each stop is kept in both themes.
"""

from __future__ import annotations

import re

from playwright.async_api import Locator, expect

from tests.browser.lab import Lab, lab
from tests.server.servers import Home, until

WHERE = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"

FILL = """import time
held = []
for step in range(18):
    held.append(b'1' * 2**28)
    time.sleep(0.4)"""

AT_ONCE_MS = 1_000


async def test_tour(user: Home) -> None:
    """From the first size to a node that is free again."""
    async with lab(user, "--MIGNews.watch_seconds=1") as page:
        await _pick(page)
        await _fill(page)
        await _is_warned(page)
        await _change(page)
        await _wait_in_line(page)
        await _think_better_of_it(page)
        await _leave(page)


async def _pick(page: Lab) -> None:
    await expect(page.card("7g.40gb")).to_be_visible()
    await page.in_both_themes("tour-1-launcher")
    await page.card("1g.5gb").click()
    await page.is_idle()
    await page.run_cell(WHERE)
    await expect(page.output).to_have_text(await _my_slice(page, "1g.5gb"))
    await expect(page.slice).to_contain_text("of 4.8 GiB")


async def _fill(page: Lab) -> None:
    """The gauge is seen to move while the cell runs."""
    await page.command("jupyter-mig:open-panel")
    await page.run_cell(FILL)
    running = page.notebook.locator(".jp-InputPrompt", has_text="[*]:")
    here = page.panel.get_by_role("region", name="This notebook")
    await expect(here).to_contain_text(re.compile(r"[12]\.\d of 4\.8 GiB"))
    await expect(page.slice).to_contain_text(re.compile(r"[12]\.\d of 4\.8 GiB"))
    await expect(running).to_be_visible()
    await page.in_both_themes("tour-2-filling")
    await expect(here).to_contain_text(re.compile(r"[34]\.\d of 4\.8 GiB"))
    await expect(running).to_be_visible()


async def _is_warned(page: Lab) -> None:
    await expect(_notice(page, "Untitled.ipynb uses 4.")).to_be_visible()
    await expect(page.panel).to_contain_text("Nearly full. 1g.10gb is free: 10 GiB.")
    await page.is_idle()
    await page.in_both_themes("tour-3-nearly-full")


async def _change(page: Lab) -> None:
    """The same notebook, another slice; what is lost is said before."""
    await page.size_button.click()
    await expect(page.size_menu).to_contain_text("3 of 4 free")
    await page.in_both_themes("tour-4-sizes")
    await page.size_menu.get_by_role("menuitem", name="2g.10gb").click()
    await expect(page.dialog).to_contain_text("all variables are lost")
    await page.in_both_themes("tour-5-sure")
    await page.accept()
    await expect(page.size_button).to_have_text("GPU: 2g.10gb")
    await page.is_idle()
    await page.run_cell(WHERE)
    await expect(page.output.last).to_have_text(await _my_slice(page, "2g.10gb"))
    await expect(page.slice).to_contain_text("of 9.6 GiB")
    await expect(_notice(page, "Untitled.ipynb uses 4.")).to_have_count(0)
    await page.in_both_themes("tour-6-changed")


async def _wait_in_line(page: Lab) -> None:
    """What is typed meanwhile is queued."""
    await page.new_notebook("7g.40gb")
    await expect(page.slice).to_contain_text("waiting for 7g.40gb: next in line")
    await page.run_cell("print('at last')")
    await expect(page.notebook.locator(".jp-InputPrompt").first).to_have_text("[*]:")
    waiting = page.panel.get_by_role("region", name="Waiting")
    await expect(waiting).to_contain_text("Untitled1.ipynb · 7g.40gb")
    await expect(_notice(page, "Untitled1.ipynb waits")).to_be_visible()
    await page.in_both_themes("tour-7-waiting")


async def _think_better_of_it(page: Lab) -> None:
    await page.slice.get_by_role("button", name="Cancel").click()
    await expect(page.slice).to_contain_text("no slice", timeout=AT_ONCE_MS)
    await expect(page.panel).to_contain_text("Nobody waits.")
    assert [lease.label for lease in await page.user.leases()] == ["Untitled.ipynb"]
    await expect(_notice(page, "Untitled1.ipynb waits")).to_have_count(0)
    await page.in_both_themes("tour-8-cancelled")


async def _leave(page: Lab) -> None:
    await page.panel.get_by_role("button", name="Shut down Untitled.ipynb").click()
    await expect(page.dialog).to_contain_text("its variables are lost")
    await page.in_both_themes("tour-9-shut-down")
    await page.accept()
    await expect(page.panel).to_contain_text("None of them has a slice.")
    await page.user.empty()
    await expect(page.panel).to_contain_text("7g.40gb 1 free")
    await page.in_both_themes("tour-10-free")


async def _my_slice(page: Lab, size: str) -> str:
    """The UUID of the one slice there is, once it is of that size."""

    async def found() -> str | None:
        leases = [lease for lease in await page.user.leases() if lease.state == "bound"]
        slices = [lease.slice for lease in leases if lease.slice is not None]
        return slices[0].mig_uuid if [each.profile for each in slices] == [size] else None

    return await until(found, f"for one slice of {size}")


def _notice(page: Lab, text: str) -> Locator:
    return page.page.locator(".Toastify__toast", has_text=text)
