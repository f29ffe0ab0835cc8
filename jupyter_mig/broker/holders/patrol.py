"""Who is on a slice that is another user's: told, and, where slices are closed to others, ended.

The kernel module asks of a descriptor only which slice it opens, not when it was opened and by
whom: one that was stashed under an earlier lease, or handed over, lets its bearer in. But a process
can be sent one without a say in it: who does not compute is told of, and left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.holders.heartbeats import is_kept_by_heartbeats
from jupyter_mig.broker.memory.witness import Witness
from jupyter_mig.broker.processes import Process
from jupyter_mig.broker.story import line
from jupyter_mig.core import events
from jupyter_mig.core.events import AnyEvent
from jupyter_mig.core.geometry import Identity
from jupyter_mig.core.leases import USABLE, LeaseState
from jupyter_mig.core.state import Place, State
from jupyter_mig.nvml.port import HardwarePort, Warden

log = logging.getLogger(__name__)

_ROOT = 0
_WATCHED = USABLE | {LeaseState.DRAINING}


class Post(NamedTuple):
    """A slice in use, whose it is, and the processes seen on it. With ``over`` his lease has ended,
    and they are all still there who should not be.
    """

    lease_id: str
    owner: int
    kernel_pid: int
    gpu_uuid: str
    identity: Identity
    pids: tuple[int, ...]
    over: bool = False


class Guest(NamedTuple):
    """A process on a slice, and whether it computes there, as far as we know."""

    process: Process
    computes: bool


def posts(state: State, event: AnyEvent) -> tuple[Post, ...]:
    """The slices that an observation says somebody is on. Whose they are is as ``state`` has it."""
    if not isinstance(event, events.GpuObserved):
        return ()
    occupied = {each.identity: each.occupants for each in event.instances if each.occupants}
    places = state.on_gpu(event.gpu.uuid)
    found = (_post(state, place, occupied) for place in places)
    return tuple(post for post in found if post is not None)


def _post(state: State, place: Place, occupied: Mapping[Identity, tuple[int, ...]]) -> Post | None:
    """None if the slice is nobody's, or nobody is on it.

    Leases with heartbeats are of users, and of processes, that are not those of this node.
    """
    if place.identity not in occupied or place.identity is None:
        return None
    where = (place.spec.gpu_uuid, place.identity, occupied[place.identity])
    lease, left_by = state.lease_of(place), place.left_by
    if lease is not None and lease.state in _WATCHED and not is_kept_by_heartbeats(lease):
        return Post(lease.lease_id, lease.owner, lease.kernel_pid or 0, *where)
    if lease is None and left_by is not None:
        return Post(left_by.lease_id, left_by.owner, 0, *where, over=True)
    return None


class Patrol:
    """Goes where somebody was seen. Root's processes are left alone: they can reach anything."""

    def __init__(self, driver: HardwarePort, witness: Witness) -> None:
        self._driver = driver
        self._witness = witness
        self._told: dict[str, frozenset[Guest]] = {}

    def go(self, gpu_uuid: str, somebody: tuple[Post, ...]) -> None:
        """Look again; tell of each intruder once. For the lane of the GPU: until it returns no
        slice of that GPU changes hands.
        """
        found = [(post, guest) for post in somebody for guest in self._intruders(post)]
        before = self._told.get(gpu_uuid, frozenset())
        self._told[gpu_uuid] = frozenset(guest for _, guest in found)
        for post, guest in found:
            if guest not in before:
                self._tell(post, guest)
            owners = guest.process.uid == post.owner and not post.identity.is_gpu
            if self._isolates and (guest.computes or owners):
                self._end(post, guest.process)

    def _intruders(self, post: Post) -> list[Guest]:
        known = map(processes.find, post.pids)
        strange = [one for one in known if one is not None and self._is_strange(one, post)]
        if not strange:
            return []
        try:
            there = self._driver.occupants(post.gpu_uuid, post.identity)
            computing = self._computing(post)
        except errors.DriverError as error:
            # Nobody is ended on old news: the next look tells whether they are there.
            log.warning("lease=%s cannot be looked at: %s", post.lease_id, error)
            return []
        found = {*there, *computing}
        return [Guest(one, one.pid in computing) for one in strange if one.pid in found]

    def _is_strange(self, process: Process, post: Post) -> bool:
        """What the kernel has started is its user's, as whomever it runs. He himself is strange
        once his lease is over, where slices open for their owners alone.
        """
        owners = process.uid == post.owner and not (post.over and self._isolates)
        if process.uid == _ROOT or owners:
            return False
        return not (post.kernel_pid and processes.descends(process, post.kernel_pid))

    @property
    def _isolates(self) -> bool:
        return isinstance(self._driver, Warden) and self._driver.isolates

    def _computing(self, post: Post) -> tuple[int, ...]:
        """Where slices are closed to nobody, who has one open means to use it."""
        if isinstance(self._driver, Warden) and self._isolates:
            return self._driver.computing(post.gpu_uuid, post.identity)
        return post.pids

    def _tell(self, post: Post, guest: Guest) -> None:
        process = guest.process
        who = {"pid": process.pid, "uid": process.uid}
        whose = {"lease": post.lease_id, "uid_of_lease": post.owner}
        what = "Intruder" if guest.computes else "Opener"
        log.warning("%s", line(what, **who, **whose, mig_uuid=post.identity.mig_uuid))
        if guest.computes:
            self._witness.caught(post.lease_id, post.owner, process)
        else:
            self._witness.met(post.lease_id, post.owner, process)

    def _end(self, post: Post, process: Process) -> None:
        if not isinstance(self._driver, Warden):
            return
        place = (post.gpu_uuid, post.identity)
        try:
            self._driver.end(*place, process.pid, process.started_ticks, gently=False)
        except errors.DriverError as error:
            # It may have ended by itself; if not, the next look finds it again.
            log.warning("pid=%d was not ended: %s", process.pid, error)
