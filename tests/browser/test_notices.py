"""What JupyterLab says at the edge of the screen when something happens to a slice."""

from __future__ import annotations

from collections.abc import Mapping

from playwright.async_api import Locator, expect

from jupyter_mig.wire.messages import LeaseView
from tests.browser.lab import Lab, lab, set_notices
from tests.server.servers import Home


async def _emit(page: Lab, lease: LeaseView, kind: str, message: str, next_step: str = "") -> None:
    """As if the server's event bus had said so."""
    event: Mapping[str, str] = {
        "schema_id": "urn:jupyter-mig:slice:v1",
        "kind": kind,
        "kernel_id": lease.kernel_id,
        "lease_id": lease.lease_id,
        "size": lease.size,
        "label": lease.label,
        "message": message,
        "next_step": next_step,
    }
    await page.page.evaluate(
        "event => window.jupyterapp.serviceManager.events.stream.emit(event)", dict(event)
    )


def _toasts(page: Lab) -> Locator:
    return page.page.locator(".Toastify__toast")


async def _picture(page: Lab, name: str) -> None:
    """Once what slides in has done so."""
    await expect(page.page.locator(".Toastify--animate")).to_have_count(0)
    await page.picture(name)


async def _one_kernel(page: Lab) -> LeaseView:
    await page.open_notebook("train.ipynb", "1g.5gb")
    await page.is_idle()
    (lease,) = await page.user.leases()
    return lease


async def test_what_happens_to_a_slice_is_said_with_what_to_do(user: Home) -> None:
    """Nearly full, idle and lost: one notice each, however often; the buttons do what they say."""
    async with lab(user) as page:
        lease = await _one_kernel(page)
        await expect(page.slice).to_contain_text("of 4.8 GiB")
        full = "train.ipynb uses 4.6 of 4.8 GiB of its 1g.5gb slice."
        await _emit(page, lease, "nearly-full", full, "1g.10gb is free.")
        await _emit(page, lease, "nearly-full", full, "1g.10gb is free.")
        await _emit(page, lease, "idle", "train.ipynb has not used its slice for 41 minutes.")
        await expect(_toasts(page)).to_have_count(2)
        await expect(_toasts(page).filter(has_text="1g.10gb is free")).to_have_count(1)
        await _picture(page, "notices")
        await page.command("launcher:create")
        idle = _toasts(page).filter(has_text="41 minutes")
        await idle.get_by_role("button", name="Go to Notebook").click()
        await expect(page.notebook).to_be_visible()
        nearly = _toasts(page).filter(has_text="4.6 of 4.8")
        await nearly.get_by_role("button", name="Change Size").click()
        await expect(page.page.locator(".lm-Menu")).to_contain_text("1g.10gb")
        await page.picture("notices-change-size")
        await page.page.keyboard.press("Escape")
        lost = "The slice of train.ipynb failed: an uncorrectable memory error."
        await _emit(page, lease, "lost", lost, "Restart the kernel to have another one.")
        gone = _toasts(page).filter(has_text="failed")
        await expect(gone).to_be_visible()
        await _picture(page, "notices-lost")
        await expect(gone.get_by_role("button", name="Restart")).to_be_visible()
        await gone.get_by_role("button", name="Shut Down").click()
        await expect(page.dialog).to_contain_text("its variables are lost")
        await page.accept()
        await page.user.empty()


async def test_what_is_not_wanted_is_not_said(user: Home) -> None:
    """A setting for each kind, which a new user finds all on."""
    set_notices(user, {"idle": False, "released": False})
    async with lab(user) as page:
        lease = await _one_kernel(page)
        await _emit(page, lease, "idle", "Idle.")
        await _emit(page, lease, "released", "Freed.")
        await _emit(page, lease, "nearly-full", "Full.")
        await expect(_toasts(page)).to_have_count(1)
        await expect(_toasts(page)).to_contain_text("Full.")


async def test_a_refusal_is_said_once(user: Home) -> None:
    """Where the notebook is open JupyterLab's own dialog says why; no notice repeats it."""
    async with lab(user) as page:
        lease = await _one_kernel(page)
        await _emit(page, lease, "refused", "No slice is free for train.ipynb.")
        script = LeaseView("other", "kernel", "waiting", 1, "1g.5gb", "night.py", 0.0)
        await _emit(page, script, "refused", "No slice is free for night.py.")
        await expect(_toasts(page)).to_have_count(1)
        await expect(_toasts(page)).to_contain_text("night.py")
        await _picture(page, "notices-refused")


async def test_a_slice_that_fills_up(user: Home) -> None:
    """The server notices, the page says so, and a larger size is two clicks away."""
    async with lab(user, "--MIGNews.watch_seconds=1") as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await page.run_cell("held = b'1' * int(4.5 * 2**30)")
        full = _toasts(page).filter(has_text="train.ipynb uses 4.")
        await expect(full).to_have_count(1)
        await page.command("jupyter-mig:open-panel")
        await expect(page.panel).to_contain_text("Nearly full. 1g.10gb is free: 10 GiB.")
        await _picture(page, "nearly-full")
        await full.get_by_role("button", name="Change Size").click()
        await expect(page.page.locator(".lm-Menu")).to_contain_text("1g.10gb")
