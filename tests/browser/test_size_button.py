"""The toolbar button "GPU: 1g.5gb": another size for the same notebook."""

from __future__ import annotations

import json
import re

from playwright.async_api import Locator, expect

from jupyter_mig.wire.messages import LeaseRequest
from tests.browser.lab import Lab, lab
from tests.server.servers import Home, home, until

PROFILE = "import os; print(os.environ.get('JUPYTER_MIG_PROFILE'))"
SLOW = "simulated:1xA100-SXM4-40GB?time_scale=20"


def _row(page: Lab, text: str) -> Locator:
    return page.size_menu.get_by_role("menuitem", name=text)


async def _hold(user: Home, *sizes: str) -> list[str]:
    """Slices that other notebooks hold; the leases."""
    wishes = [LeaseRequest(size, size, f"other-{size}.ipynb") for size in sizes]
    return await user.hold(*wishes)


async def _has(user: Home, *sizes: str) -> None:
    """Wait until these are all sizes that the user's leases have or want."""

    async def found() -> bool:
        return sorted(lease.size for lease in await user.leases()) == sorted(sizes)

    await until(found, f"for the leases to be {sizes}")


def _install_broken(user: Home, size: str) -> None:
    """A kernelspec of that size, in the place of ours, whose program is not there."""
    user.kernelspec(f"python3-mig-{size}", size, "/no/such/program")
    path = user.directory / "data" / "kernels" / f"python3-mig-{size}" / "kernel.json"
    document = json.loads(path.read_text())
    document["metadata"]["jupyter_mig"] = {"profile": size, "base": "python3", "memory_bytes": 1}
    path.write_text(json.dumps(document))


async def _walk_to_the_button(page: Lab) -> None:
    """Along the toolbar by arrow keys, from its first button."""
    await page.notebook.locator("jp-button[data-command='docmanager:save']").focus()
    for _ in range(20):
        if await page.size_button.evaluate("button => button === document.activeElement"):
            return
        await page.page.keyboard.press("ArrowRight")
    raise AssertionError("the button is not in the toolbar's round")


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
        await page.part(page.size_menu, "size-menu-part")
        await _row(page, "2g.10gb").click()
        await expect(page.dialog).to_contain_text("train.ipynb")
        await expect(page.dialog).to_contain_text("all variables are lost")
        await page.picture("size-sure")
        await page.part(page.dialog.locator(".jp-Dialog-content"), "size-sure-part")
        await page.accept()
        await expect(page.size_button).to_have_text("GPU: 2g.10gb")
        await expect(page.kernel_button).to_have_text("Python 3  (2g.10gb) simulated")
        await page.run_cell(PROFILE)
        await expect(page.output).to_have_text("2g.10gb")
        await _has(user, "2g.10gb")


async def test_by_keyboard_and_in_the_dark(user: Home) -> None:
    """Enter opens, arrows choose, Escape closes and leads back to the button."""
    async with lab(user, theme="Dark") as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await _walk_to_the_button(page)
        await page.page.keyboard.press("Enter")
        await expect(page.size_menu).to_be_visible()
        await page.page.keyboard.press("Escape")
        await expect(page.size_menu).to_have_count(0)
        await expect(page.size_button).to_be_focused()
        await page.page.keyboard.press("Enter")
        await expect(page.size_menu).to_be_visible()
        await page.page.keyboard.press("ArrowDown")
        await page.page.keyboard.press("ArrowDown")
        await page.picture("size-menu-dark")
        await page.part(page.size_menu, "size-menu-dark-part")
        await page.page.keyboard.press("Enter")
        await expect(page.dialog.get_by_role("button", name="Change to 1g.10gb")).to_be_focused()
        await page.picture("size-sure-dark")
        await page.page.keyboard.press("Enter")
        await expect(page.size_button).to_have_text("GPU: 1g.10gb")
        await page.is_idle()


async def test_a_change_takes_time_and_says_so() -> None:
    """On a node as slow as a real one."""
    async with home(SLOW) as user, lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")
        await page.size_button.click()
        await _row(page, "3g.20gb").click()
        await page.accept()
        await expect(page.size_button).to_have_text("changing…")
        await expect(page.size_button).to_be_disabled()
        await expect(page.size_button).to_have_attribute("title", re.compile("changing to 3g.20gb"))
        await page.picture("size-changing")
        await expect(page.size_button).to_have_text("GPU: 3g.20gb")
        await page.is_idle()


async def test_own_room_counts(user: Home) -> None:
    """None is free, but the own slice makes room: never are two slices needed."""
    await _hold(user, "3g.20gb")
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")
        await page.size_button.click()
        await expect(_row(page, "4g.20gb")).to_contain_text("none free now")
        await _row(page, "4g.20gb").click()
        await expect(page.dialog).to_contain_text("No 4g.20gb is free just now.")
        await page.picture("size-sure-full")
        await page.accept()
        await expect(page.size_button).to_have_text("GPU: 4g.20gb")
        await _has(user, "3g.20gb", "4g.20gb")
        await page.is_idle()


async def test_a_size_that_does_not_fit_changes_nothing(user: Home) -> None:
    """The refusal comes first; who wants can give the slice up and wait."""
    (other,) = await _hold(user, "3g.20gb")
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await page.run_cell("kept = 'here still'")
        await page.size_button.click()
        await _row(page, "7g.40gb").click()
        await page.accept()
        await expect(page.dialog).to_contain_text("train.ipynb was not changed to 7g.40gb")
        await page.picture("size-refused")
        await page.part(page.dialog.locator(".jp-Dialog-content"), "size-refused-part")
        await page.dialog.get_by_role("button", name="Ok").click()
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")
        await page.run_cell("print(kept)")
        await expect(page.output).to_have_text("here still")

        await page.size_button.click()
        await _row(page, "7g.40gb").click()
        await page.accept()
        await page.dialog.get_by_role("button", name="Give Up 1g.5gb and Wait").click()
        await expect(page.size_button).to_have_text("GPU: waiting")
        await user.client.release(other)
        await expect(page.size_button).to_have_text("GPU: 7g.40gb")
        await page.is_idle()


async def test_a_smaller_size_now(user: Home) -> None:
    """Who waits can have at once what is free; what was run meanwhile is not marked as running."""
    await _hold(user, "4g.20gb")
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "7g.40gb")
        await expect(page.size_button).to_have_text("GPU: waiting")
        await page.run_cell("print('typed too early')")
        await page.size_button.click()
        await page.picture("size-waiting")
        await page.part(page.size_menu, "size-waiting-part")
        await _row(page, "Use 3g.20gb now").click()
        await expect(page.size_button).to_have_text("GPU: 3g.20gb")
        await page.is_idle()
        await expect(page.dialog).to_have_count(0)
        await expect(page.notebook.locator(".jp-InputPrompt").first).to_have_text("[ ]:")
        await page.run_cell(PROFILE)
        await expect(page.output).to_have_text("3g.20gb")
        await _has(user, "3g.20gb", "4g.20gb")


async def test_without_a_gpu_and_back(user: Home) -> None:
    """The slice is free again, the notebook stays; from there any size can be had."""
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")
        await page.size_button.click()
        await _row(page, "keep the notebook").click()
        await page.picture("size-none")
        await page.accept()
        await expect(page.size_button).to_have_text("GPU: none")
        await _has(user)
        await page.size_button.click()
        await _row(page, "2g.10gb").click()
        await page.accept()
        await expect(page.size_button).to_have_text("GPU: 2g.10gb")
        await page.run_cell(PROFILE)
        await expect(page.output).to_have_text("2g.10gb")


async def test_the_old_size_comes_back(user: Home) -> None:
    """Where the new kernel does not start: the notebook has one again, and the dialog says all."""
    _install_broken(user, "2g.10gb")
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")
        await page.size_button.click()
        await _row(page, "2g.10gb").click()
        await page.accept()
        await expect(page.dialog).to_contain_text("train.ipynb was not changed to 2g.10gb")
        await expect(page.dialog).to_contain_text("started again with 1g.5gb")
        await page.picture("size-back")
        await page.accept()
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")
        await page.run_cell(PROFILE)
        await expect(page.output).to_have_text("1g.5gb")
        await _has(user, "1g.5gb")


async def test_a_console_has_the_button_too(user: Home) -> None:
    """Another size for the same console."""
    async with lab(user) as page:
        cards = page.page.locator(".jp-LauncherCard[data-category='Console']:visible")
        await cards.filter(has_text="(1g.5gb)").click()
        button = page.page.locator(".jp-ConsolePanel .jp-mig-Size-button")
        await expect(button).to_have_text("GPU: 1g.5gb")
        await button.click()
        await _row(page, "2g.10gb").click()
        await page.picture("size-console")
        await page.accept()
        await expect(button).to_have_text("GPU: 2g.10gb")
        await page.is_idle()
        await _has(user, "2g.10gb")
