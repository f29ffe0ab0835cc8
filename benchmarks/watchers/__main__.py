"""How much CPU a server spends on tabs that watch, ours beside others, in one run.

* ``jupyter_mig``: our front end's requests with its panel open, one each 2 s; the broker's CPU
  counts, too;
* ``per socket``: a timer and an NVML pass per socket, each 2 s (``per_socket.py``): the bar is 0.3
  of this at 100 tabs;
* ``nvdashboard``: jupyterlab-nvdashboard's socket of machine resources, at its own 100 ms (its GPU
  sockets have nothing to say of a MIG GPU);
* ``resource-usage``: jupyter-resource-usage's request, each 5 s.

The last two take part if they can be imported. The node is simulated, seven slices are held.

    python -m benchmarks.watchers [--seconds 20] [--tabs 1 10 100]
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest
from tornado.websocket import websocket_connect

from jupyter_mig.client import Client, Settings
from jupyter_mig.wire import meeting
from jupyter_mig.wire.messages import LeaseRequest

from . import per_socket

NODE = "simulated:1xA100-SXM4-40GB?time_scale=0"
TOKEN = "watchers"  # noqa: S105 - on loopback, for minutes
BAR, PER_CLIENT_BAR_PERCENT = 0.3, 0.5
TICKS = os.sysconf("SC_CLK_TCK")
PEERS = {
    "nvdashboard": "jupyterlab_nvdashboard",
    "resource-usage": "jupyter_resource_usage",
}


class Server(NamedTuple):
    """A server on loopback, and the process of its broker."""

    url: str
    pid: int
    broker_pid: int

    def headers(self) -> dict[str, str]:
        """What identifies us."""
        return {"Authorization": f"token {TOKEN}"}


Tab = Callable[[Server, float], Awaitable[int]]
"""Watches a server until then, on the monotonic clock; the bytes that came."""


async def mig(server: Server, until: float) -> int:
    """Our front end."""
    return await _requests(server, "jupyter-mig/api/overview", per_socket.PERIOD_SECONDS, until)


async def resource_usage(server: Server, until: float) -> int:
    """jupyter-resource-usage's status bar."""
    return await _requests(server, "api/metrics/v1", 5.0, until)


async def sockets(server: Server, until: float) -> int:
    """The usual design."""
    return await _messages(server, per_socket.PATH, "", until)


async def nvdashboard(server: Server, until: float) -> int:
    """jupyterlab-nvdashboard's panel."""
    pace = json.dumps({"updateFrequency": 100, "isPaused": False})
    return await _messages(server, "nvdashboard/cpu_resource", pace, until)


TABS: dict[str, Tab] = {
    "jupyter_mig": mig,
    "per socket": sockets,
    "nvdashboard": nvdashboard,
    "resource-usage": resource_usage,
}


async def _requests(server: Server, path: str, every: float, until: float) -> int:
    client = AsyncHTTPClient()
    received = 0
    while time.monotonic() < until:
        answer = await client.fetch(
            f"{server.url}/{path}",
            headers={**server.headers(), "Accept-Encoding": "gzip"},
            decompress_response=False,
            request_timeout=60,
        )
        received += len(answer.body)
        await asyncio.sleep(min(every, max(until - time.monotonic(), 0)))
    return received


async def _messages(server: Server, path: str, first: str, until: float) -> int:
    address = f"{server.url.replace('http', 'ws')}/{path}?session={uuid.uuid4().hex}"
    connection = await websocket_connect(HTTPRequest(address, headers=server.headers()))
    if first:
        await connection.write_message(first)
    received = 0
    while (left := until - time.monotonic()) > 0:
        try:
            message = await asyncio.wait_for(asyncio.shield(connection.read_message()), left)
        except asyncio.TimeoutError:
            break
        received += len(message or "")
    connection.close()
    return received


class Window(NamedTuple):
    """What one kind of tab cost: seconds of CPU in the window, and bytes for each tab."""

    cpu_seconds: float
    bytes_each: float


async def watched(server: Server, tab: Tab, tabs: int, seconds: float) -> Window:
    """So many tabs, spread over two seconds as they would be."""
    until = time.monotonic() + seconds
    before = _cpu_seconds(server)
    start = asyncio.get_running_loop().time()

    async def late(number: int) -> int:
        await asyncio.sleep(max(start + 2 * number / tabs - asyncio.get_running_loop().time(), 0))
        return await tab(server, until)

    received = await asyncio.gather(*(late(number) for number in range(tabs)))
    return Window(_cpu_seconds(server) - before, sum(received) / tabs)


def _cpu_seconds(server: Server) -> float:
    return sum(_cpu(pid) for pid in (server.pid, server.broker_pid))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def serving(directory: Path, peers: list[str]) -> Iterator[tuple[str, int]]:
    """A Jupyter server with all extensions; its address and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    extensions = ["jupyter_mig", f"{__package__}.per_socket", *(PEERS[name] for name in peers)]
    chosen = repr(dict.fromkeys(extensions, True))
    log = (directory / "server.log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
            *(f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1"),
            *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={directory}"),
            f"--ServerApp.jpserver_extensions={chosen}",
        ],
        env=os.environ,
        stdout=log,
        stderr=log,
    )
    try:
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        log.close()


async def ready(url: str) -> None:
    """Return once the server answers."""
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        try:
            await AsyncHTTPClient().fetch(
                f"{url}/jupyter-mig/api/overview", headers={"Authorization": f"token {TOKEN}"}
            )
        except (OSError, HTTPError):  # noqa: PERF203 - trying again is what the loop is for
            await asyncio.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


async def measured(seconds: float, counts: list[int]) -> dict[str, dict[int, Window]]:
    """All kinds of tab in turn, for each number of them."""
    peers = [name for name, module in PEERS.items() if importlib.util.find_spec(module)]
    with tempfile.TemporaryDirectory(prefix="mig-") as place:
        os.environ |= {"JUPYTER_MIG_DRIVER": NODE, "XDG_RUNTIME_DIR": place}
        AsyncHTTPClient.configure(None, max_clients=500)
        client = Client(Settings.from_environment(os.environ))
        for number in range(7):
            lease = await client.acquire(LeaseRequest(f"watched-{number}", "1g.5gb"))
            await client.bind(lease.lease_id, os.getpid())
        broker_pid = (await client.broker()).pid
        os.environ[per_socket.SILICON] = str(client.socket.parent / meeting.SILICON)
        found: dict[str, dict[int, Window]] = {}
        with serving(Path(place), peers) as (url, pid):
            await ready(url)
            server = Server(url, pid, broker_pid)
            for tabs in counts:
                for name in ("jupyter_mig", "per socket", *peers):
                    window = await watched(server, TABS[name], tabs, seconds)
                    found.setdefault(name, {})[tabs] = window
        os.kill(broker_pid, signal.SIGTERM)
        return found


def table(found: dict[str, dict[int, Window]], seconds: float) -> Iterator[str]:
    """The results, for people."""
    yield f"{'':16}{'tabs':>6}{'CPU, % of a core':>18}{'each':>9}{'kB/min each':>13}"
    for name, windows in found.items():
        for tabs, window in windows.items():
            percent = 100 * window.cpu_seconds / seconds
            kilobytes = window.bytes_each / 1000 * 60 / seconds
            yield f"{name:16}{tabs:6}{percent:18.2f}{percent / tabs:9.3f}{kilobytes:13.1f}"


def main() -> int:
    """Measure, print, and fail if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--tabs", type=int, nargs="+", default=[1, 10, 100])
    chosen = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}; simulated GPU; {chosen.seconds:.0f} s each")
    found = asyncio.run(measured(chosen.seconds, chosen.tabs))
    print("\n".join(table(found, chosen.seconds)))
    most = max(chosen.tabs)
    ours = found["jupyter_mig"][most].cpu_seconds
    ratio = ours / found["per socket"][most].cpu_seconds
    each_percent = 100 * ours / chosen.seconds / most
    print(f"with {most} tabs: ours / per socket = {ratio:.2f} (bar {BAR})")
    print(f"with {most} tabs: {each_percent:.3f} % of a core each (bar {PER_CLIENT_BAR_PERCENT})")
    return int(ratio > BAR or each_percent > PER_CLIENT_BAR_PERCENT)


if __name__ == "__main__":
    sys.exit(main())
