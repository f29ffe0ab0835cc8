"""What befalls a page that is open for long."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import msgspec
import pytest
from playwright.async_api import CDPSession, Route, expect

from jupyter_mig.nvml import simulated
from jupyter_mig.wire import meeting
from jupyter_mig.wire.messages import LeaseRequest
from tests.browser.lab import lab, set_notices
from tests.browser.told import full_node, gpu, held, overview, waiting
from tests.server.servers import Home, serving

BASE = "/user/ada"
OVERVIEW = "**/jupyter-mig/api/overview*"

AT_ONCE_MS = 200
"""How long a person has to wait at most for what fills the panel, and for a scrolled panel."""

MANY_POLLS = 300

OPEN = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const start = performance.now();
  await window.jupyterapp.commands.execute('jupyter-mig:open-panel');
  while (document.querySelectorAll('.jp-mig-Panel li').length < 200) {
    await frame();
  }
  await frame();
  return performance.now() - start;
}"""

SCROLL = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const all = [...document.querySelectorAll('.jp-mig-Panel, .jp-mig-Panel *')];
  const panel = all.find(each => each.scrollHeight > each.clientHeight + 100);
  const times = [];
  for (const where of [0.5, 1, 0]) {
    const start = performance.now();
    panel.scrollTop = where * panel.scrollHeight;
    await frame();
    await frame();
    times.push(performance.now() - start);
  }
  return Math.max(...times);
}"""

POLL = """async times => {
  const { stream } = window.jupyterapp.serviceManager.events;
  for (let each = 0; each < times; each++) {
    const before = window.answers;
    const news = { schema_id: 'urn:jupyter-mig:slice:v1', lease_id: `l${each}`, message: '' };
    stream.emit({ ...news, kind: 'idle' });
    while (window.answers === before) {
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  }
}"""

COUNT_ANSWERS = """() => {
  window.answers = 0;
  new PerformanceObserver(list => {
    const told = list.getEntries().filter(each => each.name.includes('jupyter-mig/api/overview'));
    window.answers += told.length;
  }).observe({ type: 'resource' });
}"""


async def test_a_server_that_was_restarted(user: Home) -> None:
    """Behind a proxy, at the same address: its kernels are gone, and the page learns of it."""
    async with lab(user, base=BASE) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await page.command("jupyter-mig:open-panel")
        await expect(page.slice).to_contain_text("of 4.8 GiB")
        page.server.stop()
        await expect(page.slice).to_contain_text("server unreachable")
        port = urlsplit(page.server.url).port or 0
        async with serving(user, app="jupyterlab", base=BASE, port=port):
            await page.server.user.empty()
            await expect(page.panel.get_by_role("alert")).to_have_count(0)
            await expect(page.panel).to_contain_text("None of them has a slice.")
            await expect(page.slice).not_to_contain_text("unreachable")
            await page.picture("server-restarted")


async def test_a_slice_that_an_administrator_destroys(user: Home) -> None:
    """The page says that it is lost, and what helps; the same notebook gets another."""
    async with lab(user, "--MIGNews.watch_seconds=0.2") as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        (lease,) = await user.leases()
        # The broker looks more often at the GPUs while somebody waits.
        wish = LeaseRequest("other", "7g.40gb", patience_seconds=None)
        other = await user.client.request(wish)
        assert lease.slice is not None
        with simulated.attached(user.broker_dir / meeting.SILICON) as node:
            node.destroy(lease.slice.mig_uuid)
        lost = page.page.locator(".Toastify__toast", has_text="has lost its slice")
        await expect(lost).to_be_visible()
        await page.in_both_themes("lost")
        await user.client.release(other.lease_id)
        await lost.get_by_role("button", name="Restart").click()
        await page.accept()
        await page.is_idle()
        await expect(page.slice).to_contain_text("of 4.8 GiB")
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")


async def test_polls_that_are_cut_off(user: Home) -> None:
    """One that is never answered: the page says so after a while, and goes on with the next."""
    async with lab(user) as page:
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await expect(page.slice).to_contain_text("of 4.8 GiB")
        await page.page.route(OVERVIEW, _never_answer)
        await expect(page.slice).to_contain_text("server unreachable, slice still yours")
        await page.page.unroute(OVERVIEW)
        await expect(page.slice).to_contain_text("of 4.8 GiB")


@pytest.mark.timeout(240)
async def test_a_tab_that_is_open_for_days(user: Home) -> None:
    """Leases come and go at each of many polls; neither the page nor its memory grows."""
    set_notices(user, {"idle": False})
    async with lab(user) as page:
        await page.page.route(OVERVIEW, _always_others())
        await page.command("jupyter-mig:open-panel")
        await expect(page.panel).to_contain_text("kernel-")
        await page.page.evaluate(COUNT_ANSWERS)
        browser = await page.page.context.new_cdp_session(page.page)
        sizes = []
        for _ in range(3):
            await page.page.evaluate(POLL, MANY_POLLS // 3)
            sizes.append(await _size(browser))
        _, middle, last = sizes
        for what in ("Nodes", "JSEventListeners", "JSHeapUsedSize"):
            assert last[what] <= 1.02 * middle[what], (what, [each[what] for each in sizes])


async def test_many_are_there_at_once(user: Home) -> None:
    """56 slices and 200 kernels: the panel opens, and scrolls."""
    view, _ = full_node()
    body = msgspec.json.encode(view)
    async with lab(user) as page:
        await page.page.route(OVERVIEW, lambda route: route.fulfill(body=body))
        async with page.page.expect_response(OVERVIEW):
            pass
        opened_ms = await page.page.evaluate(OPEN)
        scrolled_ms = await page.page.evaluate(SCROLL)
        assert max(opened_ms, scrolled_ms) < AT_ONCE_MS, (opened_ms, scrolled_ms)


async def test_words_of_a_newer_server(user: Home) -> None:
    """States, kinds and fields that this page does not know break nothing."""
    lease, instance = held(1, 0, 0)
    known = msgspec.to_builtins(overview([lease, waiting(2, 1)], gpu(0, (instance,))))
    known["leases"][1]["state"] = "hibernating"
    known["node"]["gpus"][0]["mode"] = "entangled"
    known["node"]["gpus"][0]["instances"][0]["state"] = "frozen"
    known["node"]["from_the_future"] = [1]
    body = msgspec.json.encode(known)
    async with lab(user) as page:
        await page.page.route(OVERVIEW, lambda route: route.fulfill(body=body))
        await page.command("jupyter-mig:open-panel")
        await expect(page.panel).to_contain_text("kernel-001.ipynb")
        await expect(page.panel).to_contain_text("kernel-002.ipynb")
        await expect(page.panel.get_by_role("alert")).to_have_count(0)
        await page.part(page.panel, "newer-server")


async def _never_answer(_: Route) -> None:
    pass


def _always_others() -> Callable[[Route], Awaitable[None]]:
    numbers = itertools.count()

    async def answer(route: Route) -> None:
        first = 7 * next(numbers)
        pairs = [held(first + each, 0, each) for each in range(7)]
        node = gpu(0, tuple(instance for _, instance in pairs))
        leases = [lease for lease, _ in pairs]
        await route.fulfill(body=msgspec.json.encode(overview(leases, node)))

    return answer


async def _size(browser: CDPSession) -> dict[str, float]:
    """What the page takes, once what it has let go of is gone."""
    await browser.send("HeapProfiler.collectGarbage")
    await browser.send("Performance.enable")
    metrics = (await browser.send("Performance.getMetrics"))["metrics"]
    return {each["name"]: each["value"] for each in metrics}
