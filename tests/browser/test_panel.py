"""The side panel: who holds what, drawn to scale, and what can be done about it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from tests.browser.lab import Lab, Theme, lab
from tests.server.servers import Home, home


@pytest_asyncio.fixture
async def user() -> AsyncIterator[Home]:
    """One user on a node with two A100."""
    async with home("simulated:2xA100-SXM4-40GB?time_scale=0") as one:
        yield one


async def _width(block: Locator) -> float:
    box = await block.bounding_box()
    assert box is not None
    return box["width"]


def _block(page: Lab, what: str) -> Locator:
    return page.panel.locator(".jp-mig-Block", has_text=what)


async def _fill(page: Lab) -> None:
    """Kernels of four sizes, some of which do something."""
    notebooks = {
        "train.ipynb": ("2g.10gb", 1_400_000_000),
        "eval.ipynb": ("1g.5gb", 0),
        "embed.ipynb": ("3g.20gb", 500_000_000),
        "tune.ipynb": ("2g.10gb", 200_000_000),
    }
    for name, (size, held_bytes) in notebooks.items():
        await page.open_notebook(name, size)
        await page.is_idle()
        await page.run_cell(f"held = b'1' * {held_bytes}")
        await page.is_idle()


@pytest.mark.parametrize("theme", ["Light", "Dark"])
async def test_the_whole_picture(user: Home, theme: Theme) -> None:
    """Slices are as wide as they are large, mine carry the notebook's name, free room what fits;
    who waits is listed with a place.
    """
    async with lab(user, theme=theme) as page:
        await _fill(page)
        await page.open_notebook("sweep.ipynb", "7g.40gb")
        await page.run_cell("print('at last')")
        await page.slice.get_by_role("button").first.click()
        await expect(page.panel).to_be_visible()
        await expect(page.panel).to_contain_text("simulated")
        unit = await _width(_block(page, "eval"))
        for name, units in (("train", 2), ("embed", 4)):
            gaps = 2 * (units - 1)
            assert await _width(_block(page, name)) == pytest.approx(units * unit + gaps, abs=1)
        await expect(_block(page, "free").first).to_contain_text("free")
        await expect(page.panel).to_contain_text("7g.40gb 0 free")
        waiting = page.panel.get_by_role("region", name="Waiting")
        await expect(waiting).to_contain_text("sweep.ipynb · 7g.40gb")
        await expect(waiting).to_contain_text("next in line")
        await page.show("train.ipynb")
        mine = page.panel.get_by_role("region", name="This notebook")
        await expect(mine).to_contain_text("2g.10gb · GPU")
        await expect(mine).to_contain_text("1.4 of 9.6 GiB")
        await page.picture(f"panel-{theme}")
        await page.part(page.panel, f"panel-only-{theme}")


async def test_going_to_a_notebook_by_keyboard(user: Home) -> None:
    """A slice of mine is a button with a name that says what it is."""
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "2g.10gb")
        await page.is_idle()
        await page.command("jupyter-mig:open-panel")
        await page.command("launcher:create")
        mine = page.panel.get_by_role("button", name="train.ipynb: 2g.10gb, yours")
        await mine.focus()
        await page.page.keyboard.press("Enter")
        await expect(page.notebook).to_be_visible()
        await expect(page.slice).to_contain_text("2g.10gb")


async def test_everything_is_reached_by_keyboard(user: Home) -> None:
    """In the order in which it is read, each with a name of its own; menus give the focus back."""
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "2g.10gb")
        await page.is_idle()
        await page.command("jupyter-mig:open-panel")
        await expect(page.panel).to_contain_text("of 9.6 GiB")
        await page.panel.get_by_role("button").first.focus()
        names = [await _focused(page)]
        while names[-1]:
            await page.page.keyboard.press("Tab")
            names.append(await _focused(page))
        assert names[:-1] == [
            "Change the size of train.ipynb: 2g.10gb",
            "Shut down",
            "train.ipynb: 2g.10gb, yours",
            "train.ipynb",
            "Change the size of train.ipynb: 2g.10gb",
            "Shut down train.ipynb",
        ]
        size = page.panel.get_by_role("button", name="Change the size of train.ipynb").first
        await size.focus()
        await page.page.keyboard.press("Enter")
        await expect(page.page.locator(".lm-Menu")).to_contain_text("3g.20gb")
        await page.page.keyboard.press("Escape")
        await expect(size).to_be_focused()


async def _focused(page: Lab) -> str:
    """The name of what has the focus in the panel; empty: nothing there has."""
    name: str = await page.panel.evaluate(
        """panel => {
          const focused = document.activeElement;
          const name = focused.ariaLabel ?? focused.textContent;
          return panel.contains(focused) ? name : '';
        }"""
    )
    return name


async def test_shutting_down_frees_the_slice(user: Home) -> None:
    """After a question that says what is lost; not if the answer is no."""
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "2g.10gb")
        await page.is_idle()
        await page.command("jupyter-mig:open-panel")
        shut_down = page.panel.get_by_role("button", name="Shut down train.ipynb")
        await shut_down.click()
        await expect(page.dialog).to_contain_text("its variables are lost")
        await page.picture("shut-down")
        await page.dialog.get_by_role("button", name="Cancel").click()
        assert [lease.state for lease in await user.leases()] == ["bound"]
        await shut_down.click()
        await page.accept()
        await expect(page.panel).to_contain_text("None of them has a slice.")
        await user.empty()


async def test_calling_a_wait_off_in_the_panel(user: Home) -> None:
    """Of a notebook that is not in front, too; the others go on."""
    async with lab(user) as page:
        for each in range(2):
            await page.open_notebook(f"whole{each}.ipynb", "7g.40gb")
            await page.is_idle()
        await page.open_notebook("sweep.ipynb", "7g.40gb")
        await page.command("jupyter-mig:open-panel")
        await page.show("whole0.ipynb")
        waiting = page.panel.get_by_role("region", name="Waiting")
        await expect(waiting).to_contain_text("sweep.ipynb · 7g.40gb")
        await waiting.get_by_role("button", name="Cancel").click()
        await expect(waiting).to_contain_text("Nobody waits.")
        assert len(await user.leases()) == 2


async def test_using_a_smaller_size_now(user: Home) -> None:
    """One that waits is offered the largest that is free, and runs on it a click later."""
    async with lab(user) as page:
        await page.open_notebook("whole.ipynb", "7g.40gb")
        await page.is_idle()
        await page.open_notebook("train.ipynb", "2g.10gb")
        await user.bound(2)
        await page.open_notebook("sweep.ipynb", "7g.40gb")
        await page.command("jupyter-mig:open-panel")
        here = page.panel.get_by_role("region", name="This notebook")
        await expect(here).to_contain_text("next in line")
        await expect(page.page.locator(".Toastify__toast")).to_contain_text("sweep.ipynb waits")
        await expect(page.page.locator(".Toastify--animate")).to_have_count(0)
        await page.picture("waiting")
        await here.get_by_role("button", name="Use 4g.20gb now").click()
        await expect(here).to_contain_text("4g.20gb · GPU")
        await page.run_cell("import os; print(os.environ['JUPYTER_MIG_PROFILE'])")
        await expect(page.output).to_have_text("4g.20gb")
        await expect(page.panel).to_contain_text("Nobody waits.")


async def test_nothing_is_asked_for_while_nobody_looks(user: Home) -> None:
    """A hidden tab is silent; one that is looked at again is up to date."""
    async with lab(user) as page:
        await page.command("jupyter-mig:open-panel")
        await expect(page.panel).to_contain_text("7g.40gb 2 free")
        asked: list[str] = []
        page.page.on("request", lambda request: asked.append(request.url))
        await page.hide(hidden=True)
        await page.page.wait_for_timeout(5_000)  # one more may be on its way
        asked.clear()
        await page.page.wait_for_timeout(5_000)
        assert [url for url in asked if "/jupyter-mig/" in url] == []
        await page.hide(hidden=False)
        async with page.page.expect_request("**/jupyter-mig/api/overview*"):
            pass
