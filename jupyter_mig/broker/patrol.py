"""Who is on a slice that is another user's: told, and, where slices are closed to others, ended.

The kernel module asks of a descriptor only which slice it opens, not when it was opened and by
whom: one that was stashed under an earlier lease, or handed over, lets its bearer in.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.heartbeats import is_kept_by_heartbeats
from jupyter_mig.broker.processes import Process
from jupyter_mig.broker.story import line
from jupyter_mig.broker.witness import Witness
from jupyter_mig.core import events
from jupyter_mig.core.events import AnyEvent
from jupyter_mig.core.geometry import Identity, Instance
from jupyter_mig.core.leases import USABLE, Lease
from jupyter_mig.core.state import State
from jupyter_mig.nvml.port import HardwarePort, Warden

log = logging.getLogger(__name__)

_ROOT = 0


class Post(NamedTuple):
    """A slice in use, whose it is, and the processes seen on it."""

    lease_id: str
    owner: int
    kernel_pid: int
    gpu_uuid: str
    identity: Identity
    pids: tuple[int, ...]


def posts(state: State, event: AnyEvent) -> tuple[Post, ...]:
    """The slices that an observation says somebody is on. Whose they are is as ``state`` has it."""
    if not isinstance(event, events.GpuObserved):
        return ()
    return tuple(
        Post(
            lease.lease_id,
            lease.owner,
            lease.kernel_pid or 0,
            event.gpu.uuid,
            seen.identity,
            seen.occupants or (),
        )
        for seen, lease in _in_use(state, event)
        if seen.occupants and not is_kept_by_heartbeats(lease)
    )


def _in_use(state: State, event: events.GpuObserved) -> Iterator[tuple[Instance, Lease]]:
    """Leases with heartbeats are of users, and of processes, that are not those of this node."""
    seen = {one.identity: one for one in event.instances}
    for place in state.on_gpu(event.gpu.uuid):
        lease = state.lease_of(place)
        if place.identity in seen and lease is not None and lease.state in USABLE:
            yield seen[place.identity], lease


class Patrol:
    """Goes where somebody was seen. Root's processes are left alone: they can reach anything."""

    def __init__(self, driver: HardwarePort, witness: Witness) -> None:
        self._driver = driver
        self._witness = witness
        self._told: dict[str, frozenset[Process]] = {}

    def go(self, gpu_uuid: str, somebody: tuple[Post, ...]) -> None:
        """Look again; tell of each intruder once. For the lane of the GPU: until it returns no
        slice of that GPU changes hands.
        """
        found = [(post, process) for post in somebody for process in self._intruders(post)]
        before = self._told.get(gpu_uuid, frozenset())
        self._told[gpu_uuid] = frozenset(process for _, process in found)
        for post, process in found:
            if process not in before:
                self._tell(post, process)
            self._end(post, process)

    def _intruders(self, post: Post) -> list[Process]:
        known = map(processes.find, post.pids)
        strange = [one for one in known if one is not None and _is_strange(one, post)]
        if not strange:
            return []
        try:
            there = self._driver.occupants(post.gpu_uuid, post.identity)
        except errors.DriverError as error:
            # Nobody is ended on old news: the next look tells whether they are there.
            log.warning("lease=%s cannot be looked at: %s", post.lease_id, error)
            return []
        return [one for one in strange if one.pid in there]

    def _tell(self, post: Post, process: Process) -> None:
        who = {"pid": process.pid, "uid": process.uid}
        whose = {"lease": post.lease_id, "uid_of_lease": post.owner}
        log.warning("%s", line("Intruder", **who, **whose, mig_uuid=post.identity.mig_uuid))
        self._witness.caught(post.lease_id, post.owner, process)

    def _end(self, post: Post, process: Process) -> None:
        driver = self._driver
        if not isinstance(driver, Warden) or not driver.isolates:
            return
        place = (post.gpu_uuid, post.identity)
        try:
            driver.end(*place, process.pid, process.started_ticks, gently=False)
        except errors.DriverError as error:
            # It may have ended by itself; if not, the next look finds it again.
            log.warning("pid=%d was not ended: %s", process.pid, error)


def _is_strange(process: Process, post: Post) -> bool:
    """What the kernel has started is its user's, as whomever it runs."""
    if process.uid in (_ROOT, post.owner):
        return False
    return not (post.kernel_pid and processes.descends(process, post.kernel_pid))
