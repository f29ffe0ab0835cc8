"""A large node and a user with many kernels: quick to show, quick to scroll, quiet when nothing
happens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest_asyncio
from playwright.async_api import Page, expect

from jupyter_mig.server.overview import OverviewView
from tests.browser.lab import Lab, lab
from tests.browser.told import full_node, gpu, held, overview, tell
from tests.server.servers import Home

LONGEST_PAUSE_MS = 500
"""How long the page may be deaf at a time, on a machine that does other things too."""

WATCH_PAUSES = """() => {
  window.longest = 0;
  let before = performance.now();
  setInterval(() => {
    const now = performance.now();
    window.longest = Math.max(window.longest, now - before);
    before = now;
  }, 5);
}"""

WATCH_CHANGES = """([selector]) => {
  window.changes = [];
  const note = records => window.changes.push(
    ...records
      .filter(each => !each.target.closest?.('svg'))
      .map(each => each.target.outerHTML ?? each.target.textContent)
  );
  const all = { subtree: true, childList: true, attributes: true, characterData: true };
  for (const node of document.querySelectorAll(selector)) {
    new MutationObserver(note).observe(node, all);
  }
}"""


@pytest_asyncio.fixture
async def page(user: Home) -> AsyncIterator[Lab]:
    """JupyterLab without kernels."""
    async with lab(user) as one:
        yield one


async def _polls(page: Page, times: int) -> None:
    for _ in range(times):
        async with page.expect_response("**/jupyter-mig/api/overview*"):
            pass


async def test_56_slices_and_200_kernels(page: Lab) -> None:
    """All are there, with their curves; the page stays quick while the answers come."""
    view, history = full_node()
    await tell(page.page, view, history)
    await page.page.evaluate(WATCH_PAUSES)
    await page.command("jupyter-mig:open-panel")
    mine = page.panel.get_by_role("region", name="My kernels")
    await expect(mine.get_by_role("listitem")).to_have_count(56)
    waiting = page.panel.get_by_role("region", name="Waiting")
    await expect(waiting.get_by_role("listitem")).to_have_count(144)
    await expect(mine.locator("svg.jp-mig-Sparkline")).to_have_count(112)
    await page.picture("many")
    await waiting.get_by_text("kernel-199.ipynb").scroll_into_view_if_needed()
    await expect(waiting.get_by_text("kernel-199.ipynb")).to_be_in_viewport()
    await page.picture("many-scrolled")
    await _polls(page.page, 4)
    longest = await page.page.evaluate("window.longest")
    assert longest < LONGEST_PAUSE_MS


async def test_nothing_moves_when_nothing_changes(page: Lab) -> None:
    """The same answer again changes nothing on the page; curves alone go on."""
    view, history = full_node()
    await tell(page.page, view, history)
    await page.command("jupyter-mig:open-panel")
    mine = page.panel.get_by_role("region", name="My kernels")
    await expect(mine.get_by_role("listitem")).to_have_count(56)
    await page.page.evaluate(WATCH_CHANGES, [".jp-mig-Panel, .jp-mig-Status"])
    await _polls(page.page, 3)
    assert await page.page.evaluate("window.changes") == []


async def test_what_is_wrong_with_a_gpu(page: Lab) -> None:
    """Its problem, what to do about it, and notes; and that a slice could not be read, with why."""
    lease, instance = held(1, 0, 0)
    broken = gpu(
        *(0, (instance,)),
        mode="unusable",
        problem="MIG is off on this GPU.",
        next_step="An administrator can turn it on: nvidia-smi -i 0 -mig 1",
        notes=("Its processes are seen by administrators only.",),
    )
    told = overview([lease], broken)
    told = OverviewView(told.node, told.leases, None, "The sampler does not answer.")
    await tell(page.page, told)
    await page.command("jupyter-mig:open-panel")
    for words in (
        "MIG is off on this GPU.",
        "nvidia-smi -i 0 -mig 1",
        "Its processes are seen by administrators only.",
        "could not be read: The sampler does not answer.",
        "memory not available",
    ):
        await expect(page.panel).to_contain_text(words)
    await page.part(page.panel, "gpu-with-a-problem")


async def test_a_server_of_another_version(page: Lab) -> None:
    """What an older one does not say is left out, what a newer one adds is passed over; one that
    cannot be understood is said to be so, and the page goes on when it can.
    """
    view, history = full_node(60)
    older = msgspec.to_builtins(view)
    older["readings"].pop("gpus")
    for reading in older["readings"]["slices"]:
        for name in ("utilization", "utilization_source", "processes"):
            reading.pop(name)
    older["from_the_future"] = {"leases": 7}
    await _answer(page, older)
    await page.command("jupyter-mig:open-panel")
    mine = page.panel.get_by_role("region", name="My kernels")
    await expect(mine.get_by_role("listitem")).to_have_count(56)
    await expect(mine).not_to_contain_text("SM")
    await _answer(page, {"node": "moved"})
    await expect(page.panel.get_by_role("alert")).to_contain_text("node is not an object")
    await tell(page.page, view, history)
    await expect(page.panel.get_by_role("alert")).to_have_count(0)
    await expect(mine).to_contain_text("SM")


async def _answer(page: Lab, body: object) -> None:
    await page.page.unroute("**/jupyter-mig/api/overview*")
    await page.page.route(
        "**/jupyter-mig/api/overview*", lambda route: route.fulfill(body=msgspec.json.encode(body))
    )
