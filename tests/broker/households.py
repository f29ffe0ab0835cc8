"""A service in this process, on a simulated node that outlives it: for what needs no socket."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from jupyter_mig.broker import processes
from jupyter_mig.broker.hardware.hardware import Hardware
from jupyter_mig.broker.hardware.inventory import parse
from jupyter_mig.broker.holders.holders import holder_of
from jupyter_mig.broker.memory.recovery import recover
from jupyter_mig.broker.memory.witness import Witness
from jupyter_mig.broker.seam import Seam, Uninterrupted
from jupyter_mig.broker.service import Service
from jupyter_mig.broker.settings import Settings
from jupyter_mig.core import events
from jupyter_mig.core.leases import Holder, Lease, LeaseState
from jupyter_mig.core.rules import Rules
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.access import NOWHERE, AccessNodes
from jupyter_mig.nvml.driver import Driver

NODE = "1xA100-SXM4-40GB?time_scale=0"
QUICK_RULES = Rules(rebind_grace=0.25, bind_grace=20, retry_first=0.01, term_grace=0.2)
QUICK_SETTINGS = Settings(observe=60, write_retry=0.05)


class Household:
    """A node, a log beside it, and one service after another that works on both."""

    def __init__(self, node: simulated.Node, driver: Driver, log: Path) -> None:
        self.node = node
        self.driver = driver
        self.log = log
        self.settings = QUICK_SETTINGS
        self.rules = QUICK_RULES
        self.inventory = "dynamic"
        self.witness: Witness | None = None

    @asynccontextmanager
    async def service(self, seam: Seam | None = None) -> AsyncIterator[Service]:
        """A service, constructed but not started; stopped at the end, or dead if it failed."""
        seam = seam or Uninterrupted()
        recovered = recover(self.log, self.rules, processes.boot_id(), seam)
        hardware = Hardware(
            self.driver,
            seam,
            parse(self.inventory),
            offers_unknown=not recovered.log.predecessor,
        )
        service = Service(recovered, hardware, self.settings, witness=self.witness)
        try:
            yield service
        finally:
            await service.stop()

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Service]:
        """A service that runs."""
        async with self.service() as service:
            await service.start()
            yield service

    @property
    def instances(self) -> int:
        """How many instances there are on the silicon."""
        return sum(len(gpu.instances) for gpu in self.node.gpus)


@contextmanager
def household(directory: Path, node: str = NODE) -> Iterator[Household]:
    """A household on a simulated node in memory."""
    root = simulated.parse(node).root
    access = AccessNodes.under(Path(root)) if root else NOWHERE
    with simulated.installed(node) as silicon:
        driver = Driver(
            f"simulated:{node}", simulated=True, access=access, destroy_patience_seconds=0.05
        )
        try:
            yield Household(silicon, driver, directory / "log.sqlite")
        finally:
            driver.close()


def me() -> Holder:
    """This process."""
    return holder_of_pid(os.getpid())


def holder_of_pid(pid: int) -> Holder:
    """A process as a holder."""
    process = processes.find(pid)
    assert process is not None
    return holder_of(process)


def ask(kernel_id: str, size: str, patience_seconds: float | None = None) -> events.Ask:
    """A request of this process."""
    return events.Ask(
        lease_id=secrets.token_hex(4),
        kernel_id=kernel_id,
        owner=os.getuid(),
        requester=me(),
        size=size,
        patience_seconds=patience_seconds,
    )


async def changed_to(service: Service, lease: Lease, *states: LeaseState) -> None:
    """Return once a lease is in one of the states; whatever it was before."""
    async with asyncio_timeout(60):
        while lease.state not in states:
            await service.changed(lease.lease_id, lease.version)


async def emptied(service: Service) -> None:
    """Return once there is no lease and no instance of the service's making."""
    async with asyncio_timeout(60):
        while not service.idle:
            await service.post(events.TimePassed())


@asynccontextmanager
async def asyncio_timeout(seconds: float) -> AsyncIterator[None]:
    """Fail what takes too long (asyncio.timeout is newer than Python 3.10)."""
    task = asyncio.current_task()
    assert task is not None
    alarm = asyncio.get_running_loop().call_later(seconds, task.cancel, "took too long")
    try:
        yield
    finally:
        alarm.cancel()
