"""The service dies, in this process, at every point before and after log writes and driver calls.

Quicker than killing processes, so the story is longer; and the ledger's invariants are looked at.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from threading import Lock

import msgspec
import pytest

from jupyter_mig.broker.service import Service
from jupyter_mig.core import events, queries
from jupyter_mig.core.leases import EndReason, Lease, LeaseState
from jupyter_mig.nvml import simulated
from tests.broker.households import (
    Household,
    ask,
    changed_to,
    emptied,
    holder_of_pid,
    household,
    me,
)

PARTS = 3


class Crash(BaseException):
    """The end of a broker. Like a signal, it is no Exception that anybody could handle."""


class CrashAt:
    """A seam that ends the service at the nth point, and everything it still tries after that."""

    def __init__(self, number: int) -> None:
        self._left = number
        self._lock = Lock()

    def reached(self, point: str) -> None:
        """Count down."""
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                raise Crash(point)


class CrashBefore:
    """A seam that ends the service when it comes to a point of that name, and from then on."""

    def __init__(self, point: str) -> None:
        self._point = point
        self._crashed = False

    def reached(self, point: str) -> None:
        """Is this the point?"""
        self._crashed = self._crashed or point == self._point
        if self._crashed:
            raise Crash(point)


class Day:
    """What a user does in one day, step by step. A step that a crash cut short is taken again."""

    def __init__(self, home: Household) -> None:
        self.home = home
        self.kernels: dict[str, subprocess.Popen[bytes]] = {}
        self.promised: dict[str, str] = {}
        self.steps_taken = 0

    async def live(self, service: Service) -> None:
        """Start the service, then go on where the day was interrupted."""
        await service.start()
        self.check(service)
        for step in self.steps()[self.steps_taken :]:
            await step(service)
            self.check(service)
            self.steps_taken += 1

    def steps(self) -> list[Callable[[Service], Awaitable[object]]]:
        """Two slices, a restart, a request that has to wait, and a kernel that dies."""
        return [
            lambda service: self.granted(service, "a", "1g.10gb"),
            lambda service: self.bound(service, "a"),
            lambda service: self.granted(service, "b", "3g.20gb"),
            lambda service: self.released(service, "b"),
            lambda service: self.restarted(service, "a"),
            lambda service: self.asked(service, "c", "7g.40gb"),
            lambda service: self.released(service, "a"),
            lambda service: self.granted(service, "c", "7g.40gb"),
            lambda service: self.released(service, "c"),
            lambda service: self.granted(service, "d", "2g.10gb"),
            lambda service: self.bound(service, "d"),
            lambda service: self.died(service, "d"),
        ]

    def check(self, service: Service) -> None:
        """The ledger is sound, and what was promised is kept."""
        service._ledger.check()
        for kernel_id, uuid in self.promised.items():
            lease = self.lease(service, kernel_id)
            assert lease is not None, f"the lease of {kernel_id} is lost"
            place = service.state.place_of(lease)
            assert place is not None, f"{kernel_id} lost its slice"
            assert place.identity is not None
            assert place.identity.mig_uuid == uuid, f"the slice of {kernel_id} has changed"
        uuids = list(self.home.node.mig_uuids)
        assert len(set(uuids)) == len(uuids)

    def lease(self, service: Service, kernel_id: str) -> Lease | None:
        """The live lease of a kernel."""
        return queries.by_kernel(service.state, os.getuid(), kernel_id)

    async def asked(self, service: Service, kernel_id: str, size: str) -> Lease:
        """Ask, perhaps again."""
        await service.post(events.SlicesRequested((ask(kernel_id, size),)))
        lease = self.lease(service, kernel_id)
        assert lease is not None
        return lease

    async def granted(self, service: Service, kernel_id: str, size: str) -> None:
        """Ask and get."""
        lease = await self.asked(service, kernel_id, size)
        usable = (LeaseState.GRANTED, LeaseState.BOUND, LeaseState.ORPHANED)
        await changed_to(service, lease, *usable)
        place = service.state.place_of(lease)
        assert place is not None
        assert place.identity is not None
        assert place.identity.mig_uuid is not None
        self.promised[kernel_id] = place.identity.mig_uuid

    async def bound(self, service: Service, kernel_id: str) -> None:
        """Start a kernel, unless it runs already, and tie the lease to it."""
        if kernel_id not in self.kernels:
            self.kernels[kernel_id] = subprocess.Popen(["sleep", "60"])  # noqa: ASYNC220 - quick
        pid, lease = self.kernels[kernel_id].pid, self.lease(service, kernel_id)
        assert lease is not None
        await service.post(events.LeaseBound(lease.lease_id, holder_of_pid(pid), pid))

    async def restarted(self, service: Service, kernel_id: str) -> None:
        """End a kernel and start it again on the same lease."""
        if self.kernels[kernel_id].poll() is None:
            self.kernels[kernel_id].kill()
        lease = self.lease(service, kernel_id)
        assert lease is not None
        await service.post(events.LeaseRenewed(lease.lease_id, me()))
        self.kernels.pop(kernel_id).wait()
        await self.bound(service, kernel_id)

    async def died(self, service: Service, kernel_id: str) -> None:
        """A kernel dies and is not started again."""
        self.promised.pop(kernel_id, None)
        self.kernels[kernel_id].kill()
        lease = self.lease(service, kernel_id)
        if lease is not None:
            await self.over(service, lease)

    async def released(self, service: Service, kernel_id: str) -> None:
        """Give it back."""
        self.promised.pop(kernel_id, None)
        lease = self.lease(service, kernel_id)
        if lease is not None:
            await service.post(events.LeaseReleased(lease.lease_id))
            await self.over(service, lease)

    async def over(self, service: Service, lease: Lease) -> None:
        """See a lease end."""
        await changed_to(service, lease, LeaseState.RELEASED)

    def close(self) -> None:
        """End the kernels."""
        for kernel in self.kernels.values():
            kernel.kill()
            kernel.wait()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Household]:
    """One simulated A100 in memory."""
    with household(tmp_path) as found:
        yield found


async def _crashed(day: Day, number: int) -> str | None:
    """Live the day until the nth point; the point, or None if the day was over before."""
    async with day.home.service(CrashAt(number)) as service:
        living = asyncio.ensure_future(day.live(service))
        await asyncio.wait((living, service.failed), return_when=asyncio.FIRST_COMPLETED)
        if not service.failed.done():
            await living
            service.failed.cancel()
            return None
        living.cancel()
        await asyncio.wait((living,))
        error = service.failed.exception()
        assert isinstance(error, Crash), error
        return str(error)


@pytest.mark.parametrize("part", range(1, PARTS + 1))
async def test_the_next_service_finishes_what_a_dead_one_began(part: int, tmp_path: Path) -> None:
    """A crash at each point, then the rest of the day: promises kept, nothing left over."""
    points = []
    for number in range(part, 1000, PARTS):
        with household(tmp_path / str(number)) as home:
            home.log.parent.mkdir()
            day = Day(home)
            try:
                point = await _crashed(day, number)
                if point is None:
                    break
                points.append(point)
                async with home.service() as service:
                    await day.live(service)
                    await emptied(service)
                assert home.instances == 0, f"a slice leaked after a crash {point}"
            finally:
                day.close()
    assert len(points) > 20, points


@pytest.mark.parametrize("point", ["before CreateInstance", "after CreateInstance"])
async def test_whoever_waits_for_a_gpu_that_is_lost_is_told(point: str, home: Household) -> None:
    """A slice being made when the broker died, and then the GPU goes: the request ends for that
    reason, and when the GPU is back nothing is left on it.
    """
    home.rules = msgspec.structs.replace(home.rules, failed_patience=0.2)
    request = ask("k", "1g.5gb", 0)
    async with home.service(CrashBefore(point)) as service:
        await service.start()
        service.tell(events.SlicesRequested((request,)))
        await asyncio.wait((service.failed,), timeout=10)
        assert isinstance(service.failed.exception(), Crash)
    home.node.lose(0)
    async with home.started() as service:
        lease = service.find(request.lease_id)
        assert lease is not None
        await changed_to(service, lease, LeaseState.RELEASED)
        assert lease.reason is EndReason.DRIVER
        assert lease.error.startswith("gpu-lost: ")
        assert home.instances == (point == "after CreateInstance")
        home.node.recover(0)
        await emptied(service)
    assert home.instances == 0


@pytest.mark.parametrize(
    "fault",
    [
        simulated.in_use(times=3),
        simulated.no_room(times=2),
    ],
)
async def test_a_driver_that_fails_now_and_then_costs_nothing(
    fault: simulated.Fault, home: Household
) -> None:
    """The same day with a driver that says In Use or Insufficient Resources a few times."""
    day = Day(home)
    try:
        home.node.inject(fault)
        async with home.service() as service:
            await day.live(service)
            await emptied(service)
        assert home.instances == 0
    finally:
        day.close()
