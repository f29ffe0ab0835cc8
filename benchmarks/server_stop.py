"""How long a Jupyter server takes to stop on one SIGTERM, and its slices to be given back.

Five kinds of server, in turn, so that they share the machine's moods, each with three kernels to
which a front end is connected:

* ``plain``: stock kernels, our extension switched off;
* ``slices``: kernels on slices, which fill the GPU;
* ``waiting``: and the start of a fourth waits for a slice;
* ``failed``: and that start has failed;
* ``cancelled``: and that start was called off.

Each is compared with the plain server beside it: when the process has ended, and when all its
slices were given back, each seen to be empty. Prints medians, and how much later both are than the
end of the plain one (bar: 1 s). What the driver then takes to destroy the instances is its own: the
last column has when all room was free. The GPU is simulated and takes its time.

    python -m benchmarks.server_stop [--stops 10]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from jupyter_mig.client import Client, Settings

NODE = "1xA100-SXM4-40GB"
STOCK, SIZE, KERNELS = "python3", "2g.10gb", 3
BAR_SECONDS = 1.0
TOKEN = "stopping"  # noqa: S105 - on loopback, for seconds
KINDS = ("plain", "slices", "waiting", "failed", "cancelled")


class Stop(NamedTuple):
    """Seconds from the signal until the server had ended, no lease was left, all room was free."""

    ended: float
    given_back: float
    free: float


class Server(NamedTuple):
    """On loopback."""

    url: str
    process: asyncio.subprocess.Process

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """As a front end does."""
        answer = await AsyncHTTPClient().fetch(
            f"{self.url}/api/{path}",
            method=method,
            headers={"Authorization": f"token {TOKEN}"},
            body=None if body is None else json.dumps(body),
            allow_nonstandard_methods=True,
            request_timeout=60,
        )
        return json.loads(answer.body) if answer.body else None

    async def offers(self, name: str) -> bool:
        """Whether it has that kernel in its picker yet."""
        try:
            return name in (await self.ask("GET", "kernelspecs"))["kernelspecs"]
        except (OSError, HTTPClientError):
            return False

    async def states(self) -> dict[str, str]:
        """Those of its kernels."""
        return {one["id"]: one["execution_state"] for one in await self.ask("GET", "kernels")}

    async def start(self, name: str) -> str:
        """Start a kernel, which may be pending; its id."""
        return str((await self.ask("POST", "kernels", {"name": name}))["id"])

    async def connect(self, kernel: str) -> WebSocketClientConnection:
        """A front end's connection, which is there once the kernel answers."""
        address = f"{self.url.replace('http', 'ws')}/api/kernels/{kernel}/channels"
        headers = {"Authorization": f"token {TOKEN}"}
        return await websocket_connect(HTTPRequest(address, headers=headers, request_timeout=60))


async def until(what: Callable[[], Awaitable[bool]]) -> float:
    """When it was true, on the clock of performance."""
    give_up_at = time.perf_counter() + 60
    while not await what():
        if time.perf_counter() > give_up_at:
            raise TimeoutError(what)
        await asyncio.sleep(0.01)
    return time.perf_counter()


@asynccontextmanager
async def serving(root: Path, name: str) -> AsyncIterator[Server]:
    """A server that offers that kernel; without our extension, if that is a stock one."""
    extensions = {"jupyter_mig": name != STOCK}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with (root / "server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
            *(f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1"),
            *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={root}"),
            f"--ServerApp.jpserver_extensions={extensions}",
            stdout=log,
            stderr=log,
        )
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        await until(lambda: server.offers(name))
        yield server
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def fill(server: Server, name: str) -> list[WebSocketClientConnection]:
    """Start the kernels; the connections that they answered."""
    started = [await server.start(name) for _ in range(KERNELS)]
    return await asyncio.gather(*map(server.connect, started))


async def one_more(server: Server, client: Client, name: str, kind: str) -> None:
    """The start of another kernel, for which there is no room; what becomes of it."""
    kernel = await server.start(name)

    async def waits() -> bool:
        return any(one.state == "waiting" for one in await client.leases())

    await until(waits)
    if kind == "failed":
        (lease,) = [one for one in await client.leases() if one.state == "waiting"]
        await client.release(lease.lease_id)

        async def dead() -> bool:
            return (await server.states()).get(kernel) == "dead"

        await until(dead)
    elif kind == "cancelled":
        await server.ask("DELETE", f"kernels/{kernel}")

        async def gone() -> bool:
            return kernel not in await server.states()

        await until(gone)


async def stop(root: Path, client: Client, kind: str) -> Stop:
    """Start a server of that kind, stop it, and see what comes back when."""

    async def given_back() -> bool:
        return not await client.leases()

    async def free() -> bool:
        return all(size.free == size.total for size in (await client.node()).sizes)

    name = STOCK if kind == "plain" else f"{STOCK}-mig-{SIZE}"
    async with serving(root, name) as server:
        connections = await fill(server, name)
        if kind not in ("plain", "slices"):
            await one_more(server, client, name, kind)
        begun = time.perf_counter()
        server.process.send_signal(signal.SIGTERM)
        back = asyncio.gather(until(given_back), until(free))
        await server.process.wait()
        ended = time.perf_counter()
        for connection in connections:
            connection.close()
        return Stop(*(at - begun for at in (ended, *await back)))


async def measure(stops: int) -> dict[str, list[Stop]]:
    """All kinds in turn, the first of each thrown away."""
    found: dict[str, list[Stop]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="mig-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        os.environ |= {"JUPYTER_MIG_DRIVER": f"simulated:{NODE}", "XDG_RUNTIME_DIR": name}
        os.environ |= {"JUPYTER_RUNTIME_DIR": str(root / "jupyter"), "IPYTHONDIR": str(root / "i")}
        client = Client(Settings.from_environment(os.environ))
        await client.broker()  # so that the first server need not start it
        try:
            for _ in range(stops + 1):
                for kind, measured in found.items():
                    measured.append(await stop(root, client, kind))
        finally:
            os.kill((await client.broker()).pid, signal.SIGTERM)
    return {kind: measured[1:] for kind, measured in found.items()}


def report(found: dict[str, list[Stop]]) -> bool:
    """Print the figures; whether the bar is met."""
    met = True
    print(f"{'median seconds':16}{'ended':>8}{'given back':>12}{'more than plain':>17}{'free':>8}")
    for kind, stops in found.items():
        ended, given_back, free = (statistics.median(each) for each in zip(*stops, strict=True))
        more = statistics.median(
            max(one.ended, one.given_back) - plain.ended
            for one, plain in zip(stops, found["plain"], strict=True)
        )
        met = met and more <= BAR_SECONDS
        print(f"{kind:16}{ended:8.3f}{given_back:12.3f}{more:17.3f}{free:8.3f}")
    return met


def main() -> int:
    """Measure and report; exit code 1 if the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stops", type=int, default=10)
    stops = parser.parse_args().stops
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(
        f"SIMULATED {NODE}, {KERNELS} kernels each, {stops} stops; bar {BAR_SECONDS} s; load {load}"
    )
    return int(not report(asyncio.run(measure(stops))))


if __name__ == "__main__":
    sys.exit(main())
