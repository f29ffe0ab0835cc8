"""From the navigation to the first reading on the page: ours and that of others, in the same page.

On loopback, in a browser without a past, which also opens what does not open by itself; the median
of a few loads. Beside it the bytes of each extension that came over the network by then. A reading
is

* ``jupyter_mig``: what the status bar says of the node's slices (no kernel runs);
* ``nvdashboard``: a curve of machine resources (of a MIG GPU it has none), opened as soon as
  its command is there;
* ``resource-usage``: the memory in the status bar.

The last two take part if they can be imported. Where they are not in this environment JUPYTER_PATH
and JUPYTER_CONFIG_PATH have to name their ``share/jupyter`` and ``etc/jupyter``.

    python -m benchmarks.watchers.first_reading [--loads 5]
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import re
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from playwright.async_api import Page, Request

from tests.browser.lab import chromium, link_extension, settle
from tests.server.servers import TOKEN, Home, Server, home, serving

DASHBOARD = "gpu-dashboard-widget:open"

Reading = Callable[[Page], Awaitable[object]]
"""Returns once there is one."""


async def mig(page: Page) -> None:
    """In the status bar."""
    await page.locator(".jp-mig-Status", has_text="simulated").wait_for()


async def nvdashboard(page: Page) -> None:
    """In a tab of its own."""
    await page.wait_for_function(f"window.jupyterapp?.commands.hasCommand('{DASHBOARD}')")
    await page.evaluate(
        f"""void window.jupyterapp.commands.execute(
          '{DASHBOARD}', {{ id: 'machine-resource-widget', title: 'Machine Resources' }}
        )"""
    )
    await page.locator("path.recharts-curve").first.wait_for(state="attached")


async def resource_usage(page: Page) -> None:
    """In the status bar, too."""
    await page.locator("#jp-main-statusbar").get_by_text(re.compile("Mem: +[1-9]")).first.wait_for()


READINGS: dict[str, tuple[str, str, Reading]] = {
    "jupyter_mig": ("jupyter_mig", "/jupyter-mig/", mig),
    "nvdashboard": ("jupyterlab_nvdashboard", "/jupyterlab-nvdashboard/", nvdashboard),
    "resource-usage": (
        "jupyter_resource_usage",
        "/@jupyter-server/resource-usage/",
        resource_usage,
    ),
}


class Load:
    """One load of the page: milliseconds to each reading, and bytes of each extension."""

    def __init__(self, page: Page, names: list[str]) -> None:
        self.page = page
        self.names = names
        self.milliseconds: dict[str, float] = {}
        self.bytes: Counter[str] = Counter()

    async def run(self, server: Server) -> None:
        """Return once all have a reading."""
        sizes: list[asyncio.Task[None]] = []

        self.page.on(
            "requestfinished", lambda it: sizes.append(asyncio.ensure_future(self._count(it)))
        )
        self.start = time.monotonic()
        await self.page.goto(f"{server.url}/lab?token={TOKEN}&reset", wait_until="commit")
        await asyncio.gather(*(self._wait(name) for name in self.names), self._lab())
        await asyncio.gather(*sizes)

    async def _lab(self) -> None:
        await self.page.wait_for_function("window.jupyterapp?.restored.then(() => true)")
        self.milliseconds["JupyterLab itself"] = self._since()

    async def _wait(self, name: str) -> None:
        await READINGS[name][2](self.page)
        self.milliseconds[name] = self._since()

    def _since(self) -> float:
        return 1000 * (time.monotonic() - self.start)

    async def _count(self, request: Request) -> None:
        for name in self.names:
            if f"/lab/extensions{READINGS[name][1]}" in request.url:
                self.bytes[name] += (await request.sizes())["responseBodySize"]


async def measured(loads: int) -> list[Load]:
    """The same page, again and again, in a new browser each time."""
    names = [name for name, (module, *_) in READINGS.items() if importlib.util.find_spec(module)]
    done = []
    async with home() as user:
        _prepare(user)
        async with serving(user, "--expose-app-in-browser", app="jupyterlab") as server:
            for _ in range(loads):
                async with chromium() as page:
                    done.append(Load(page, names))
                    await done[-1].run(server)
    return done


def _prepare(user: Home) -> None:
    link_extension(user)
    settle(user)
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
        user.environ[name] = os.environ.get(name, "")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, default=5)
    loads = asyncio.run(measured(parser.parse_args().loads))
    print(f"load {os.getloadavg()[0]:.1f}; simulated GPU; median (least, most) of {len(loads)}")
    for name in loads[0].milliseconds:
        times = [load.milliseconds[name] for load in loads]
        size = max(load.bytes[name] for load in loads) / 1000
        print(
            f"{name:24}{statistics.median(times):7.0f} ms ({min(times):.0f}, {max(times):.0f})"
            + (f"{size:9.0f} kB" if size else "")
        )


if __name__ == "__main__":
    main()
