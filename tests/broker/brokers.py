"""Real brokers for tests: their directory, their process, the silicon they work on."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import TypeVar

import msgspec

from jupyter_mig.client import Client, Settings, place
from jupyter_mig.client.starter import Starter
from jupyter_mig.nvml import simulated
from jupyter_mig.wire import meeting

NODE = "1xA100-SXM4-40GB?time_scale=0"
QUICK_BROKER = Path(__file__).with_name("quick_broker.py")
Result = TypeVar("Result")


class Orders(msgspec.Struct, frozen=True):
    """What a quick broker does differently: see ``quick_broker.py``."""

    kill_at: int = 0
    rebind_grace: float = 0.3
    bind_grace: float = 20.0
    idle: float = 60.0
    observe: float = 30.0
    request: float = 30.0
    most_leases: int = 2000


@contextmanager
def runtime_directory() -> Iterator[Path]:
    """A short private directory; brokers that live in it are ended before it goes."""
    directory = Path(tempfile.mkdtemp(prefix="mig-", dir="/tmp"))
    try:
        yield directory
    finally:
        for lock in directory.rglob(meeting.LOCK):
            end(lock)
        rmtree(directory)


def end(lock: Path, number: int = signal.SIGTERM) -> None:
    """End the broker whose lock this is, if it lives, and see it gone."""
    text = lock.read_text().strip()
    with suppress(ProcessLookupError, FileNotFoundError):
        if text and b"broker" in Path(f"/proc/{text}/cmdline").read_bytes():
            gone(int(text), number)


def gone(pid: int, number: int) -> None:
    """Signal a process and wait until it has exited."""
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, number)
        if not select.select([pidfd], [], [], 10)[0]:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            raise AssertionError(f"process {pid} did not end by signal {number}")
    finally:
        os.close(pidfd)


class Post:
    """A place for a broker, and the way to it."""

    def __init__(
        self,
        runtime: Path,
        node: str = NODE,
        orders: Orders | None = None,
        *,
        inventory: str = "auto",
        visible: str = "",
    ) -> None:
        self.node = node
        self.settings = Settings(
            driver=f"simulated:{node}",
            runtime_directory=runtime,
            inventory=inventory,
            visible_devices=visible,
        )
        self.directory = place.directory_for(self.settings)
        place.prepare(self.directory)
        self.socket = self.directory / meeting.SOCKET
        self.order(orders or Orders())

    def order(self, orders: Orders) -> None:
        """Leave orders for the next broker that starts here."""
        (self.directory / "orders.json").write_bytes(msgspec.json.encode(orders))

    def client(self) -> Client:
        """A client that starts quick brokers."""
        return Client(self.settings, self.starter())

    def starter(self) -> Starter:
        """What starts quick brokers."""
        return Starter(self.directory, self.settings, (sys.executable, str(QUICK_BROKER)))

    @property
    def pid(self) -> int:
        """The broker's process."""
        return int((self.directory / meeting.LOCK).read_text())

    def end(self, number: int = signal.SIGTERM) -> None:
        """End the broker."""
        end(self.directory / meeting.LOCK, number)

    def silicon(self) -> simulated.Node:
        """The simulated hardware, seen past the broker."""
        return simulated.attached(self.directory / meeting.SILICON)

    def instances(self) -> list[str]:
        """The MIG UUIDs that exist on the silicon, and a mark for each half-made instance."""
        with self.silicon() as node:
            return [
                next((one.mig_uuid for one in instance.compute_instances), "half-made")
                for gpu in node.gpus
                for instance in gpu.instances
            ]


async def until(question: Callable[[], Awaitable[Result | None]], *, seconds: float = 20) -> Result:
    """Ask again and again until the answer is yes, and give it; fail after ``seconds``."""
    give_up_at = asyncio.get_running_loop().time() + seconds
    while True:
        answer = await question()
        if answer:
            return answer
        if asyncio.get_running_loop().time() > give_up_at:
            raise AssertionError(f"{question} still says {answer!r} after {seconds} s")
        await asyncio.sleep(0.01)
