"""The status bar says which slice the notebook in front has."""

from __future__ import annotations

import os
import signal

from playwright.async_api import expect

from jupyter_mig.wire.messages import LeaseRequest
from tests.browser.lab import lab
from tests.server.servers import Home, until

HOLD_A_GIB = "held = b'1' * 2**30"


async def test_it_follows_the_notebook_in_front(user: Home) -> None:
    """Nothing in front, a kernel without a slice, one with; the label "simulated" all along."""
    async with lab(user) as page:
        await expect(page.slice).to_contain_text("GPU slices")
        await expect(page.slice).to_contain_text("simulated")
        await page.open_notebook("small.ipynb", "1g.5gb")
        await expect(page.slice).to_contain_text("1g.5gb")
        await expect(page.slice).to_contain_text("simulated")
        await page.open_notebook("plain.ipynb", "")
        await expect(page.slice).to_contain_text("no slice")
        await page.show("small.ipynb")
        await expect(page.slice).to_contain_text("1g.5gb")
        await page.command("launcher:create")
        await expect(page.slice).to_contain_text("GPU slices")


async def test_memory_that_fills_is_seen(user: Home) -> None:
    """The bar and the numbers are those of the slice, and change without a click."""
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await expect(page.slice).to_contain_text("0.1 of 4.8 GiB")
        await page.run_cell(HOLD_A_GIB)
        await expect(page.slice).to_contain_text("1.1 of 4.8 GiB")
        await expect(page.slice.get_by_role("meter")).to_have_attribute("aria-valuenow", "22")
        await page.statusbar_picture("status-held")


async def test_a_wait_is_shown_and_called_off(user: Home) -> None:
    """The place in line; Cancel works at once, and the wait is over for everybody."""
    wishes = [
        LeaseRequest(f"other{each}", "7g.40gb", "other.ipynb", patience_seconds=None)
        for each in range(2)
    ]
    await user.hold(wishes[0])
    await user.client.request(wishes[1])

    async def only_others() -> bool:
        return {lease.label for lease in await user.leases()} == {"other.ipynb"}

    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "3g.20gb")
        await expect(page.slice).to_contain_text("waiting for 3g.20gb: 2nd in line")
        await page.statusbar_picture("status-waiting")
        await page.slice.get_by_role("button", name="Cancel").click()
        await expect(page.slice).to_contain_text("no slice")
        await until(only_others, "for the request to be taken back")
        await expect(page.kernel_button).to_have_text("No Kernel")
        await expect(page.dialog).to_have_count(0)


async def test_a_wait_that_ends_well_is_told(user: Home) -> None:
    """Also who looks at something else then learns of it, and is one click away."""
    (running,) = await user.hold(LeaseRequest("other", "7g.40gb", "other.ipynb"))
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await expect(page.slice).to_contain_text("waiting for 1g.5gb: next in line")
        await page.command("launcher:create")
        await page.page.wait_for_timeout(3_500)  # a shorter wait is no news
        await user.client.release(running)
        toast = page.page.locator(".Toastify__toast")
        await expect(toast).to_contain_text("train.ipynb has its 1g.5gb slice")
        await page.picture("notice")
        await toast.get_by_role("button", name="Go to Notebook").click()
        await expect(page.slice).to_contain_text("1g.5gb")
        await expect(page.kernel_button).to_contain_text("1g.5gb")


async def test_a_broker_that_is_gone(user: Home) -> None:
    """The slice is still the kernel's, and the item says so."""
    broker = await user.broker_pid()
    user.environ["JUPYTER_MIG_SOCKET"] = str(user.client.socket)
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await expect(page.slice).to_contain_text("of 4.8 GiB")
        os.kill(broker, signal.SIGKILL)
        await expect(page.slice).to_contain_text("1g.5gb: broker unreachable, slice still yours")
        await page.statusbar_picture("status-broken")
        await user.client.broker()  # starts another one in its place
        await expect(page.slice).not_to_contain_text("unreachable")
        await expect(page.slice).to_contain_text("1g.5gb")
