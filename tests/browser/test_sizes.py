"""A person picks a size in JupyterLab: the main job, in a real browser."""

from __future__ import annotations

import asyncio
import json
import re
import sys

from playwright.async_api import expect

from jupyter_mig.wire.messages import LeaseRequest
from tests.browser.lab import lab
from tests.server.servers import Home, until

SIZES = ["1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"]
SHOW = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"


async def _occupy(user: Home, size: str, times: int = 1) -> list[str]:
    """Slices of ours that other notebooks hold; the leases."""
    wishes = [LeaseRequest(f"{size}-{each}", size, f"other{each}.ipynb") for each in range(times)]
    return await user.hold(*wishes)


async def _leases_command(user: Home) -> list[dict[str, object]]:
    """What ``jupyter mig leases --json`` prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jupyter_mig.cli", "leases", "--json"),
        env=user.environ,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    found: list[dict[str, object]] = json.loads(printed)
    return found


async def test_sizes_are_read_from_small_to_large(user: Home) -> None:
    """In the launcher after the default kernel, in the picker before it, and marked simulated."""
    async with lab(user) as page:
        await expect(page.card("7g.40gb")).to_be_visible()
        await page.picture("launcher")
        await page.part(page.page.locator(".jp-Launcher-section").first, "launcher-part")
        shown = await page.page.locator(
            ".jp-LauncherCard[data-category='Notebook']"
        ).all_inner_texts()
        sized = [f"Python 3 ({size}) simulated" for size in SIZES]
        assert [" ".join(text.split()) for text in shown] == ["Python 3 (ipykernel)", *sized]
        logo = page.card("1g.10gb").locator("img")
        await expect(logo).to_have_attribute("src", re.compile("python3-mig-1g.10gb/logo-svg.svg"))
        assert await logo.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        await page.new_notebook("1g.5gb")
        await page.is_idle()
        await page.kernel_button.click()
        await expect(page.dialog).to_contain_text("Select Kernel")
        options = await page.dialog.locator("option").all_inner_texts()
        names = [" ".join(text.split(" · ")[0].split()) for text in options]
        assert names[: len(SIZES) + 1] == [*sized, "Python 3 (ipykernel)"]


async def test_pick_run_restart_shut_down(user: Home) -> None:
    """The kernel sees its slice, everybody agrees on it, a restart keeps it, the end frees it."""
    async with lab(user) as page:
        await page.new_notebook("1g.10gb")
        await page.is_idle()
        await page.run_cell(SHOW)
        (lease,) = await user.leases()
        assert lease.slice is not None
        await expect(page.output).to_have_text(lease.slice.mig_uuid)
        await page.picture("running")
        (listed,) = await _leases_command(user)
        assert (listed["lease_id"], listed["state"]) == (lease.lease_id, "bound")

        await page.command("kernelmenu:restart")
        await page.accept()
        await page.server.lease_in(lease.kernel_id, "bound")
        await page.is_idle()
        await page.run_cell(SHOW)
        await expect(page.output).to_have_text([lease.slice.mig_uuid] * 2)
        assert [each.lease_id for each in await user.leases()] == [lease.lease_id]

        await page.command("kernelmenu:shutdown")
        await user.empty()


async def test_changing_the_size_in_the_picker(user: Home) -> None:
    """The stock dialog does; the old slice is freed."""
    async with lab(user) as page:
        await page.new_notebook("1g.5gb")
        await page.is_idle()
        await page.choose_kernel("(2g.10gb)")
        await expect(page.kernel_button).to_have_text("Python 3  (2g.10gb) simulated")

        async def only_the_new() -> bool:
            return [lease.size for lease in await user.leases()] == ["2g.10gb"]

        await until(only_the_new, "for the old slice to be freed")
        await page.run_cell("import os; print(os.environ['JUPYTER_MIG_PROFILE'])")
        await expect(page.output).to_have_text("2g.10gb")


async def test_the_eighth_waits_and_what_was_typed_runs_once(user: Home) -> None:
    """Seven slices are taken; the cell is queued and runs when one is freed."""
    others = await _occupy(user, "1g.5gb", 7)
    async with lab(user) as page:
        await page.new_notebook("1g.5gb")
        await expect(page.statusbar).to_contain_text("Connecting")
        await page.run_cell("print('at last')")
        await expect(page.notebook.locator(".jp-InputPrompt").first).to_have_text("[*]:")
        waiting = [lease for lease in await user.leases() if lease.state == "waiting"]
        assert [lease.place for lease in waiting] == [1]
        await page.picture("waiting")
        await user.client.release(others[2])
        await expect(page.output).to_have_text("at last")
        await expect(page.notebook.locator(".jp-InputPrompt").first).to_have_text("[1]:")
        await page.picture("granted")


async def test_a_wait_that_is_called_off(user: Home) -> None:
    """The notebook has no kernel then, without a word: its user knows why."""
    await _occupy(user, "7g.40gb")
    async with lab(user) as page:
        await page.new_notebook("1g.5gb")
        await expect(page.statusbar).to_contain_text("Connecting")
        (waiting,) = [lease for lease in await user.leases() if lease.state == "waiting"]
        await page.server.ask("DELETE", f"jupyter-mig/api/leases/{waiting.kernel_id}")
        await page.server.gone(waiting.kernel_id)
        await expect(page.kernel_button).to_have_text("No Kernel")
        await expect(page.dialog).to_have_count(0)
        await page.picture("cancelled")


async def test_with_no_patience_the_dialog_says_what_is_free(user: Home) -> None:
    """And a size that is free can be picked right away."""
    await _occupy(user, "4g.20gb")
    async with lab(user, "--MIGProvisioner.patience_seconds=0") as page:
        await page.new_notebook("7g.40gb")
        await expect(page.dialog).to_contain_text("No 7g.40gb slice is free")
        await expect(page.dialog).to_contain_text("3g.20gb")
        await expect(page.dialog).to_contain_text("other0.ipynb")
        await page.picture("refused")
        await page.accept()
        await page.choose_kernel("(3g.20gb)")
        await page.is_idle()
        await page.run_cell("import os; print(os.environ['JUPYTER_MIG_PROFILE'])")
        await expect(page.output).to_have_text("3g.20gb")
