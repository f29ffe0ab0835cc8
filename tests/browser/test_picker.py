"""JupyterLab's own kernel dialog tells what is free, and changes sizes without a second slice."""

from __future__ import annotations

from playwright.async_api import Locator, expect

from jupyter_mig.wire.messages import LeaseRequest
from tests.browser.lab import Lab, lab
from tests.server.servers import Home, until


async def _hold(user: Home, size: str, times: int = 1) -> list[str]:
    """Slices that other notebooks hold; the leases."""
    wishes = [LeaseRequest(f"{size}-{each}", size, "other.ipynb") for each in range(times)]
    return await user.hold(*wishes)


async def _has(user: Home, *sizes: str) -> None:
    """Wait until these are all sizes that the user's leases have or want."""

    async def found() -> bool:
        return sorted(lease.size for lease in await user.leases()) == sorted(sizes)

    await until(found, f"for the leases to be {sizes}")


async def _is_free(page: Lab, name: str) -> bool:
    """Whether the server tells front ends so."""
    overview = (await page.server.ask("GET", "jupyter-mig/api/overview")).body
    return any(size["size"] == name and size["free"] for size in overview["node"]["sizes"])


def _options(page: Lab) -> Locator:
    return page.dialog.locator("option")


async def test_what_is_free_is_said(user: Home) -> None:
    """Counts, and that a full size would wait; the current kernel is the chosen one."""
    await _hold(user, "4g.20gb")
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await page.kernel_button.click()
        await expect(page.dialog).to_contain_text("Select Kernel")
        texts = [" ".join(text.split()) for text in await _options(page).all_inner_texts()]
        assert "Python 3 (1g.10gb) simulated · 9.6 GiB · 1 of 4 free" in texts
        assert "Python 3 (7g.40gb) simulated · 39.2 GiB · none free now: would wait" in texts
        assert "Python 3 (ipykernel)" in texts
        chosen = page.dialog.locator("option:checked")
        await expect(chosen).to_contain_text("train.ipynb")
        await page.picture("picker")
        await page.dialog.locator("button.jp-mod-reject").click()
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")


async def test_the_smallest_that_is_free_is_proposed(user: Home) -> None:
    """To a notebook that has no kernel yet; what is full is not."""
    await _hold(user, "1g.5gb", 7)
    async with lab(user) as page:
        await page.command("notebook:create-new")
        await expect(page.dialog).to_contain_text("Select Kernel")
        await expect(page.dialog.locator("option:checked")).to_contain_text("(ipykernel)")
        await page.dialog.locator("button.jp-mod-reject").click()
        await user.client.release((await user.leases())[0].lease_id)
        await until(lambda: _is_free(page, "1g.5gb"), "for the slice to be free")
        await page.kernel_button.click()
        chosen = page.dialog.locator("option:checked")
        await expect(chosen).to_contain_text("(1g.5gb) simulated · 4.8 GiB · 1 of 7 free")
        await page.picture("picker-new")
        await page.part(page.dialog.locator(".jp-Dialog-content"), "picker-part")
        await page.accept()
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")
        await page.is_idle()


async def test_no_two_slices_are_needed(user: Home) -> None:
    """The stock change would start the new kernel first, for which there is no room here."""
    await _hold(user, "3g.20gb")
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await page.choose_kernel("(4g.20gb)")
        await expect(page.size_button).to_have_text("GPU: 4g.20gb")
        await expect(page.kernel_button).to_have_text("Python 3 (4g.20gb) simulated")
        await _has(user, "3g.20gb", "4g.20gb")
        await page.is_idle()


async def test_what_does_not_fit_leaves_the_kernel_alone(user: Home) -> None:
    """The server's words, and the old kernel with its variables."""
    await _hold(user, "3g.20gb")
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await page.run_cell("kept = 'here still'")
        await page.choose_kernel("(7g.40gb)")
        await expect(page.dialog).to_contain_text("train.ipynb was not changed to 7g.40gb")
        await page.dialog.get_by_role("button", name="Ok").click()
        await page.run_cell("print(kept)")
        await expect(page.output).to_have_text("here still")


async def test_kernels_without_a_size_are_changed_as_ever(user: Home) -> None:
    """From a slice to a plain kernel, and to no kernel."""
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await page.choose_kernel("Python 3 (ipykernel)")
        await expect(page.size_button).to_have_text("GPU: none")
        await user.empty()
        await page.choose_kernel("No Kernel")
        await expect(page.kernel_button).to_have_text("No Kernel")


async def test_without_news_there_is_a_dialog_all_the_same(user: Home) -> None:
    """A server that does not answer for us: the dialog opens, says less, and works."""
    async with lab(user) as page:
        await page.page.route("**/jupyter-mig/api/overview*", lambda _: None)
        await page.page.reload()
        await page.page.locator(".jp-LauncherCard").first.wait_for()
        await page.command("notebook:create-new")
        await expect(page.dialog).to_contain_text("Select Kernel")
        texts = " ".join(await _options(page).all_inner_texts())
        assert "(1g.5gb)" in texts
        assert "free" not in texts
        option = page.dialog.locator("option", has_text="(1g.5gb)")
        value = await option.get_attribute("value")
        await page.dialog.locator("select").select_option(value=value)
        await page.accept()
        await page.is_idle()
        await expect(page.size_button).to_have_count(0)
        await _has(user, "1g.5gb")
