"""A monitor in a cell: what is seen of it in JupyterLab and in Notebook 7."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.async_api import Locator, expect

from tests.browser.lab import Lab, lab, notebook
from tests.server.servers import home

H100 = "simulated:1xH100 80GB HBM3?time_scale=0"
SHOW = "from jupyter_mig import SliceMonitor\nSliceMonitor()"
IDLE = """() => {
  const context = window.jupyterapp.shell.currentWidget?.sessionContext;
  return context?.isReady && context.session?.kernel?.status === 'idle';
}"""
"""The kernel is. (The notebook's indicator shows a kernel that is not there yet as idle; what is
run then is dropped.)"""

WORK = """
from pathlib import Path
held = b'1' * 2**30
while not Path('enough').exists():
    sum(range(10**6))
"""


def _monitor(page: Lab) -> Locator:
    return page.notebook.locator(".jp-mig-Monitor")


async def _is_shown(page: Lab) -> None:
    await page.page.wait_for_function(IDLE)
    await page.run_cell(SHOW)
    await expect(_monitor(page)).to_contain_text("1g.10gb on GPU 0")
    await expect(_monitor(page)).to_contain_text("simulated")
    await expect(_monitor(page)).to_contain_text("of 9.8 GiB")


async def _moves_while_a_cell_runs(page: Lab) -> None:
    """Memory and utilization rise before the cell has ended, and a curve is drawn."""
    await page.run_cell(WORK)
    memory = _monitor(page).get_by_role("meter", name="Memory")
    await expect(memory).to_have_attribute("aria-valuetext", "1.1 of 9.8 GiB")
    sm = _monitor(page).get_by_role("meter", name="SM")
    await expect(sm).to_have_attribute("aria-valuetext", re.compile(r"^[1-9]\d+ %$"))
    await expect(_monitor(page).locator("polyline")).to_have_count(2)
    await expect(page.notebook.locator(".jp-InputPrompt", has_text="[*]")).to_have_count(1)


async def test_in_jupyterlab() -> None:
    """It moves while a cell runs, says when the broker is gone, and that it is back."""
    async with home(H100) as user, lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.10gb")
        await _is_shown(page)
        await _moves_while_a_cell_runs(page)
        await page.part(_monitor(page), "monitor-Light")
        await page.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
        await expect(page.page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
        await page.part(_monitor(page), "monitor-Dark")
        await page.picture("monitor-notebook")
        (user.notebooks / "enough").touch()
        with _stopped(await user.broker_pid()):
            await expect(_monitor(page)).to_contain_text("The slice is still yours.")
            await page.part(_monitor(page), "monitor-unreachable")
        await expect(_monitor(page)).not_to_contain_text("still yours")


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """A process that does not get to run for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_in_notebook_7() -> None:
    """The same, where a notebook has a browser tab of its own."""
    async with home(H100) as user, notebook(user, "train.ipynb", "1g.10gb") as page:
        await _is_shown(page)
        await _moves_while_a_cell_runs(page)
        await page.picture("monitor-notebook7")
        (user.notebooks / "enough").touch()
