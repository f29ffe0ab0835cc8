"""Cgroups that are let in to a slice, and what comes between."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.door.door import Door
from jupyter_mig.broker.door.routes import OneUser
from jupyter_mig.broker.hardware.lanes import Lanes
from jupyter_mig.core import events
from jupyter_mig.core.geometry import Identity
from jupyter_mig.core.leases import LeaseState
from jupyter_mig.errors import InUse
from jupyter_mig.nvml.driver import Driver
from tests.broker.asking import say
from tests.broker.brokers import until
from tests.broker.households import ask, changed_to, household


class Doorkeeper:
    """Hardware whose nodes are given to users and cgroups, as far as the order of that goes.
    Letting somebody in takes until ``gate`` is set; ``asked`` is set when it begins.
    """

    isolates = filters = True

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.done: list[str] = []
        self.asked, self.gate = Event(), Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def protect(self, gpu_uuid: str, identity: Identity, uid: int) -> None:
        """Closed to all cgroups, then the user's."""
        self.done.append("given")

    def secure(self, gpu_uuid: str) -> None:
        """Nothing."""

    def unprotect(self, gpu_uuid: str, identity: Identity) -> None:
        """Closed to all."""
        self.done.append("closed")

    def computing(self, gpu_uuid: str, identity: Identity) -> tuple[int, ...]:
        """Nobody."""
        return ()

    def admit(self, gpu_uuid: str, identity: Identity, pid: int, started_ticks: int) -> None:
        """Open to a cgroup."""
        self.asked.set()
        assert self.gate.wait(60)
        self.done.append("let in")

    def end(self, *_: object, **__: object) -> None:
        """Nobody needs to be ended."""


async def test_nobody_is_let_in_to_what_is_no_longer_his(tmp_path: Path) -> None:
    """A lease is revoked while its kernel is bound: the cgroup is let in before the slice is
    closed, or not at all. After that the slice may be another server's of the same user.
    """
    with household(tmp_path) as home, subprocess.Popen(["sleep", "600"]) as kernel:  # noqa: ASYNC220 - it is quick
        keeper = Doorkeeper(home.driver)
        home.driver = keeper  # type: ignore[assignment]  # it is one in all that matters
        async with home.started() as service:
            door = Door(service, home.driver, Keys(b"secret"), OneUser(os.getuid()))
            door.open(tmp_path / "s")
            request = ask("k", "1g.5gb")
            await service.post(events.SlicesRequested((request,)))
            lease = service.find(request.lease_id)
            assert lease is not None
            await changed_to(service, lease, LeaseState.GRANTED)
            bind = ("PUT", f"/v1/leases/{lease.lease_id}/kernel", {"pid": kernel.pid})
            binding = asyncio.ensure_future(asyncio.to_thread(say, tmp_path / "s", *bind))
            await asyncio.to_thread(keeper.asked.wait, 60)
            await service.post(events.LeaseRevoked(lease.lease_id, "exam"))
            with suppress(asyncio.TimeoutError):  # as long as it would take if nothing held it up
                await asyncio.wait_for(changed_to(service, lease, LeaseState.RELEASED), 0.5)
            keeper.gate.set()
            status, _ = await binding
            assert status == 410

            async def closed() -> bool:
                return "closed" in keeper.done

            await until(closed)
            await door.close()
        kernel.kill()
    assert keeper.done == ["given", "let in", "closed"]


async def test_what_a_call_in_a_lane_raises_is_told_to_who_asked() -> None:
    """The lane goes on."""
    failed: list[BaseException] = []
    lanes = Lanes(failed.append)

    def refuse() -> None:
        raise InUse("no")

    with pytest.raises(InUse):
        await lanes.ask("gpu", refuse)
    done: list[int] = []
    await lanes.ask("gpu", lambda: done.append(1))
    await lanes.stop(60)
    assert (done, failed) == ([1], [])
