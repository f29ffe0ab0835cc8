"""How long it takes to be granted a slice while others ask at the same time.

So many clients, each with its connection open, ask at once, and there is a slice for each: what is
timed is the broker and never the wait for somebody else's slice. A client's time runs from its
request to the answer that its lease is granted. Beside it, on the same server and over the same
connections, a handler that only puts one commit into an event log: the bar is how many times as
long as that the 99th percentile of grants takes (2, for 100 and for 1,000 clients). Both are asked
in turn, ``--rounds`` times.

The driver makes and destroys instances without taking time: it is a table in memory. A node has at
most 32 GPUs, which is 224 slices; for more clients this one has as many more as are needed, so the
broker has to choose among more GPUs than it ever will. The clients are one process, which has a
share in all times.

    python -m benchmarks.grants [--clients 1 10 100 1000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, cast

from tornado.web import Application

from benchmarks.placement.policies import A100
from jupyter_mig.broker import processes
from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.door.door import Door
from jupyter_mig.broker.door.routes import OneUser, Route
from jupyter_mig.broker.hardware.hardware import Hardware
from jupyter_mig.broker.hardware.inventory import parse
from jupyter_mig.broker.memory.log import EventLog, Record
from jupyter_mig.broker.memory.recovery import recover
from jupyter_mig.broker.seam import Uninterrupted
from jupyter_mig.broker.service import Service
from jupyter_mig.broker.settings import Settings
from jupyter_mig.core import events
from jupyter_mig.core.geometry import Gpu, Identity, Instance, Spec
from jupyter_mig.core.rules import Rules
from jupyter_mig.nvml.port import HardwarePort

BAR, BAR_FROM = 2.0, 100
SIZE, SLICES_PER_GPU, MOST_GPUS = "1g", 7, 32


class Paper:
    """A driver that is a table. What nobody asks of it here it does not have."""

    name = "paper"
    simulated = True

    def __init__(self, gpus: int) -> None:
        self._gpus = {
            f"GPU-{index}": Gpu(
                f"GPU-{index}", index, "A100", index, 40 * 2**30, mig_enabled=True, geometry=A100
            )
            for index in range(gpus)
        }
        self._made: dict[str, dict[int, Instance]] = {uuid: {} for uuid in self._gpus}
        self._numbers = count(1)

    def gpus(self) -> tuple[Gpu, ...]:
        """All."""
        return tuple(self._gpus.values())

    def instances(self, gpu_uuid: str) -> tuple[Instance, ...]:
        """Those made there."""
        return tuple(self._made[gpu_uuid].values())

    def create(self, spec: Spec) -> Identity:
        """At once."""
        number = next(self._numbers)
        profile = A100.by_id[spec.profile_id]
        identity = Identity(number, 0, f"MIG-{number}")
        self._made[spec.gpu_uuid][number] = Instance(
            spec, identity, profile.name, profile.memory_bytes, ()
        )
        return identity

    def destroy(self, gpu_uuid: str, identity: Identity) -> None:
        """At once."""
        del self._made[gpu_uuid][identity.gi_id]

    def occupants(self, gpu_uuid: str, identity: Identity) -> tuple[int, ...]:  # noqa: ARG002
        """Nobody."""
        return ()

    def access_paths(self, gpu_uuid: str, identity: Identity) -> tuple[Path, ...]:  # noqa: ARG002
        """None."""
        return ()

    lock_paths = closed_paths = access_paths

    def near_cpus(self, gpu_uuid: str) -> frozenset[int]:  # noqa: ARG002
        """None is nearer than others."""
        return frozenset()

    def close(self) -> None:
        """Nothing to let go of."""


class EmptyRoute(Route):
    """One commit, and an answer."""

    def initialize(  # type: ignore[override]
        self, log: EventLog, writer: ThreadPoolExecutor, **given: Any
    ) -> None:
        """Tornado hands over what the route was made with."""
        super().initialize(**given)
        self._events, self._in = log, writer

    async def post(self) -> None:
        """What any request that changes something does at least."""
        record = Record(self.service.clock(), events.LeaseReleased("0123456789abcdef"))
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._in, self._events.append, [record])
        self.answer({"state": "granted"})


async def serve(directory: Path, gpus: int) -> None:
    """Be the server until standard input ends."""
    driver = cast("HardwarePort", Paper(gpus))
    seam, rules = Uninterrupted(), Rules(bind_grace=1e6)
    settings = Settings(keep_reading=0.0, most_leases=10_000)
    recovered = recover(directory / "log.sqlite", rules, processes.boot_id(), seam)
    service = Service(recovered, Hardware(driver, seam, parse("dynamic")), settings)
    await service.start()
    door = Door(service, driver, Keys(b"secret"), OneUser(os.getuid()))
    empty = EventLog(directory / "empty.sqlite", seam, processes.boot_id())
    given = {
        "service": service,
        "driver": driver,
        "audience": OneUser(os.getuid()),
        "log": empty,
        "writer": ThreadPoolExecutor(1),
    }
    application = cast("Application", door._server.request_callback)  # noqa: SLF001
    application.add_handlers(".*", [("/empty", EmptyRoute, given)])
    door.open(directory / "s")
    await asyncio.to_thread(sys.stdin.read)
    await door.close()
    await service.stop()


class Client:
    """One connection, and what was last granted on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.lease = ""

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """One request; its answer. Raises for any other status than 200."""
        raw = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: b\r\nContent-Length: {len(raw)}\r\n\r\n"
        self._writer.write(head.encode() + raw)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        said = await self._reader.readexactly(length)
        if b" 200 " not in answer[:20]:
            raise SystemExit(f"refused: {said.decode()}")
        return json.loads(said)

    async def timed(self, path: str, name: str) -> float:
        """Seconds until a slice was granted, or the empty handler answered."""
        begun = time.perf_counter()
        wish = {"kernel_id": name, "size": SIZE, "patience_seconds": None, "wait_seconds": 60}
        answer = await self.ask("POST", path, wish)
        seconds = time.perf_counter() - begun
        if answer["state"] != "granted":
            raise SystemExit(f"not granted: {answer}")
        self.lease = answer.get("lease_id", "")
        return seconds

    async def give_back(self) -> None:
        """Done with it."""
        await self.ask("DELETE", f"/v1/leases/{self.lease}")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class Times(NamedTuple):
    """Seconds of each request."""

    grants: list[float]
    empty: list[float]


@asynccontextmanager
async def server(gpus: int) -> AsyncIterator[Path]:
    """A server in a process of its own; its socket."""
    with tempfile.TemporaryDirectory(prefix="mig-") as name:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.grants", "--serve", name, "--gpus", str(gpus)),
            stdin=asyncio.subprocess.PIPE,
        )
        socket = Path(name) / "s"
        while not socket.exists():
            await asyncio.sleep(0.02)
            if process.returncode is not None:
                raise SystemExit("the server ended")
        try:
            yield socket
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()


async def measure(clients: int, rounds: int) -> Times:
    """Everybody at once, grants and the empty handler in turn; the first round does not count."""
    times = Times([], [])
    async with server(max(MOST_GPUS, -(-clients // SLICES_PER_GPU))) as socket:
        crowd = [Client(*await asyncio.open_unix_connection(str(socket))) for _ in range(clients)]
        for number in range(rounds + 1):
            empty = await _all_at_once(crowd, "/empty", number)
            grants = await _all_at_once(crowd, "/v1/leases", number)
            await asyncio.gather(*(client.give_back() for client in crowd))
            while await crowd[0].ask("GET", "/v1/leases"):
                await asyncio.sleep(0.01)
            if number:
                times.grants.extend(grants)
                times.empty.extend(empty)
        for client in crowd:
            client.close()
    return times


async def _all_at_once(crowd: Sequence[Client], path: str, number: int) -> list[float]:
    return await asyncio.gather(
        *(client.timed(path, f"{number}-{each}") for each, client in enumerate(crowd))
    )


def percentile(times: Sequence[float], percent: int) -> float:
    """Of at least one."""
    return statistics.quantiles([*times, times[-1]], n=100, method="inclusive")[percent - 1]


def report(clients: int, times: Times) -> bool:
    """One line; whether the bar is met, where there is one."""
    p50, p99 = (percentile(times.grants, percent) for percent in (50, 99))
    empty50, empty99 = (percentile(times.empty, percent) for percent in (50, 99))
    print(
        f"{clients:7} {1e3 * p50:9.1f} {1e3 * p99:9.1f} {1e3 * empty50:10.1f}"
        f" {1e3 * empty99:10.1f} {p50 / empty50:10.2f} {p99 / empty99:9.2f}",
        flush=True,
    )
    return clients < BAR_FROM or p99 / empty99 <= BAR


def main() -> int:
    """Measure and report; exit code 1 if a bar is missed or anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--gpus", type=int, default=MOST_GPUS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        asyncio.run(serve(given.serve, given.gpus))
        return 0
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"A driver of paper; {given.rounds} rounds; p99 bar {BAR}; load {load}")
    print("clients  grant p50  p99 in ms  empty p50  p99 in ms  p50 ratio  p99 ratio")
    met = [
        report(clients, asyncio.run(measure(clients, given.rounds))) for clients in given.clients
    ]
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
