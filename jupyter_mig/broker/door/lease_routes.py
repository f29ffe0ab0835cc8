"""The routes on which leases are asked for, tied to kernels, and given back.

The peer's process and user come from the kernel (SO_PEERCRED). A lease of somebody else's is
answered as one that does not exist. What a process asks for that cannot be seen from here, in a
container or behind the TCP door, hangs on heartbeats.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker import processes, story
from jupyter_mig.broker.admission import admit, admit_early
from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.door.routes import VIEWS_A_MILLISECOND, Audience, Route
from jupyter_mig.broker.holders.heartbeats import is_heartbeat, new_heartbeat, successor
from jupyter_mig.broker.holders.holders import holder_of, pid_of
from jupyter_mig.broker.processes import Process
from jupyter_mig.broker.service import Service
from jupyter_mig.broker.words import seen
from jupyter_mig.core import actions, events, queries
from jupyter_mig.core.leases import USABLE, Holder, Lease, LeaseState
from jupyter_mig.nvml.port import HardwarePort, Mirror
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import (
    BatchRequest,
    BindRequest,
    KeyView,
    LeaseRequest,
    ResizeRequest,
    Seconds,
)

log = logging.getLogger(__name__)

UnderWay: TypeAlias = defaultdict[int, set[str]]

_UNDECIDED = (LeaseState.WAITING, LeaseState.CREATING)


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of a long poll: answer when the version is not ``seen``, or after the wait."""

    seen: int | None = None
    wait_seconds: Seconds = 0


class _LeaseRoute(Route):
    """What routes about leases share."""

    def _mine(self, lease_id: str) -> Lease:
        lease = self.service.find(lease_id)
        if lease is None or lease.owner != self.peer.uid:
            raise errors.UnknownLease(
                f"You have no lease {lease_id[:40]}.", next_step="See jupyter mig leases."
            )
        return lease

    def _usable(self, lease_id: str) -> Lease:
        lease = self._mine(lease_id)
        if lease.state in _UNDECIDED:
            raise errors.NoRoom(f"Lease {lease_id} has no slice yet: it is {lease.state.value}.")
        if lease.state not in USABLE:
            raise self.refusals().of(lease) or errors.LeaseEnded(f"Lease {lease_id} is over.")
        return lease

    async def _end_if_taken(self, lease: Lease, *ours: int) -> None:
        """Between a broker's death and the next one somebody else may have been given a slice on
        which nobody was: its kernel was starting, or starting again. Who locks it now tells.
        """
        if lease.requested_at >= self.service.since or is_heartbeat(lease.requester):
            return
        nodes = tuple(map(Path, self.service.locked.get(lease.instance_id or "", ())))
        lockers = await asyncio.to_thread(processes.lockers, nodes)  # it can take 10 ms
        others = lockers - {*ours, pid_of(lease.requester)}
        living = [pid for pid in sorted(others) if processes.find(pid) is not None]
        if living:
            log.warning("lease=%s lost: processes %s have locked its slice", lease.lease_id, living)
            await self.service.post(events.InstanceTaken(lease.instance_id or ""))

    def _asker(self) -> Holder:
        """Who asks, on which what is asked for will hang."""
        if not self._is_seen():
            return new_heartbeat()
        process = self._asking
        if process is None or not self.peer.is_process(process):
            raise errors.NotTheHolder(
                "The broker cannot see the process that asks.",
                situation=f"The kernel names it as pid {self.peer.pid}.",
            )
        return holder_of(process)

    def _is_seen(self) -> bool:
        """Whether the pids that the asker names are pids here."""
        contained = self._asking is not None and self._asking.counts_otherwise
        return bool(self.peer.pid) and not contained

    @cached_property
    def _asking(self) -> Process | None:
        """The process that has the asker's pid, if there is one."""
        return processes.find(self.peer.pid) if self.peer.pid else None

    async def _wait(
        self, lease: Lease, undecided: Callable[[Lease], bool], wait_seconds: float
    ) -> None:
        """Hold the answer back while the lease is undecided, the asker listens and time is left."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + min(wait_seconds, self.service.settings.longest_wait)
        hung_up = asyncio.ensure_future(self.hung_up.wait())
        try:
            while undecided(lease) and not hung_up.done() and loop.time() < give_up_at:
                news = asyncio.ensure_future(self.service.changed(lease.lease_id, lease.version))
                await asyncio.wait(
                    (news, hung_up),
                    timeout=give_up_at - loop.time(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                news.cancel()
        finally:
            hung_up.cancel()

    async def _let_in(self, lease: Lease) -> None:
        """Who asked for the slice may open it as soon as he is told that he has it."""
        if lease.state is not LeaseState.GRANTED:
            return
        asker = self._asking
        if asker is not None and holder_of(asker) == lease.requester:
            await admit_early(self.service, self.driver, lease, self.peer.pid)

    def _answer_or_refuse(self, lease: Lease) -> None:
        """A request that ended without a slice is answered with the reason."""
        if self.hung_up.is_set():
            return
        refused = lease.state is LeaseState.RELEASED and lease.granted_at is None
        error = self.refusals().of(lease) if refused else None
        if error is not None:
            raise error
        self.answer(self.views().lease(lease))


class _AskRoute(_LeaseRoute):
    """Routes that ask for slices. ``under_way`` are the leases that each user asks for just now:
    the ledger may not know of them yet.
    """

    under_way: UnderWay

    def initialize(self, under_way: UnderWay, **given: Any) -> None:  # type: ignore[override]
        """Tornado hands over what the route was made with. Called for each request."""
        super().initialize(**given)
        self.under_way = under_way

    async def _ask(self, requests: tuple[LeaseRequest, ...]) -> list[Lease]:
        """Put requests in line together; the lease of each, which may have been there already."""
        await self.audience.pace(self.peer.uid, len(requests))
        asker = self._asker()
        limits = await self.service.policy.limits(self.peer.uid)
        asks = tuple(
            events.Ask(
                lease_id=secrets.token_hex(8),
                kernel_id=request.kernel_id,
                owner=self.peer.uid,
                # Each heartbeat is for one lease: it ends with that.
                requester=(
                    new_heartbeat(request.silence_seconds) if is_heartbeat(asker) else asker
                ),
                size=request.size,
                label=seen(request.label),
                patience_seconds=request.patience_seconds,
                instead_of=request.instead_of,
                limits=limits,
            )
            for request in requests
        )
        with self._few({ask.lease_id for ask in asks}):
            await self.service.post(events.SlicesRequested(asks))
        return [self._asked(ask) for ask in asks]

    @contextmanager
    def _few(self, more: set[str]) -> Iterator[None]:
        """Who asks for ever more must not make the line long for others."""
        most, asking = self.service.settings.most_leases, self.under_way[self.peer.uid]
        has = self.service.state.index.counts.get(self.peer.uid, 0)
        if has + sum(self.service.find(each) is None for each in asking | more) > most:
            raise errors.TooMany(
                f"You have {most} leases and requests, or would have more.",
                next_step="Release some: jupyter mig leases lists them.",
            )
        asking |= more
        try:
            yield
        finally:
            asking -= more

    def _asked(self, ask: events.Ask) -> Lease:
        lease = self.service.find(ask.lease_id) or queries.by_kernel(
            self.service.state, ask.owner, ask.kernel_id
        )
        if lease is None:
            raise errors.Cancelled("The request was taken back before it was answered.")
        return lease


class LeasesRoute(_AskRoute):
    """``/v1/leases``."""

    async def get(self) -> None:
        """The asker's live leases."""
        views = self.service.state.index.counts.get(self.peer.uid, 0)
        await self.audience.work(self.peer.uid, views // VIEWS_A_MILLISECOND)
        self.answer(self.views().leases())

    async def post(self) -> None:
        """Ask for a slice. Asking twice for the same kernel gives the same lease."""
        request = codec.decode(self.request.body, LeaseRequest)
        (lease,) = await self._ask((request,))
        await self._wait(lease, _is_undecided, request.wait_seconds)
        await self._let_in(lease)
        self._answer_or_refuse(lease)


class BatchesRoute(_AskRoute):
    """``/v1/batches``."""

    async def post(self) -> None:
        """Ask for several slices, planned together. Those refused say why in their own view."""
        batch = codec.decode(self.request.body, BatchRequest)
        leases = await self._ask(batch.requests)
        self.answer([self.views().lease(lease) for lease in leases])


class LeaseRoute(_LeaseRoute):
    """``/v1/leases/{id}``."""

    async def get(self, lease_id: str) -> None:
        """One lease; with ``seen`` and ``wait_seconds`` once it has changed."""
        lease = self._mine(lease_id)
        look = codec.query(self.query(), Look)
        seen = lease.version if look.seen is None else look.seen
        await self._wait(lease, lambda lease: lease.version == seen, look.wait_seconds)
        await self._let_in(lease)
        self._answer_or_refuse(lease)

    async def delete(self, lease_id: str) -> None:
        """Give it back, or take the request back. Doing so twice is harmless."""
        lease = self._mine(lease_id)
        if lease.state is not LeaseState.RELEASED:
            await self._release(lease_id)
            for holder in (lease.requester, lease.kernel):
                self.service.heartbeats.end(holder)
        self.answer(self.views().lease(lease))

    async def _release(self, lease_id: str) -> None:
        try:
            await self.service.post(events.LeaseReleased(lease_id))
        except errors.UnwritableLog as error:
            raise errors.UnwritableLog(
                error.message,
                situation="The slice is given back as soon as the log can be written.",
                next_step=error.next_step,
            ) from error


class KeyRoute(_LeaseRoute):
    """``/v1/leases/{id}/key``. A path of its own: a key must not travel where leases are shown."""

    keys: Keys

    def initialize(  # type: ignore[override]  # Tornado hands over what each route was made with
        self, service: Service, driver: HardwarePort, audience: Audience, keys: Keys
    ) -> None:
        """Tornado hands over what the route was made with. Called for each request."""
        super().initialize(service, driver, audience)
        self.keys = keys

    def get(self, lease_id: str) -> None:
        """The key, for the owner."""
        lease = self._mine(lease_id)
        self.answer(KeyView(lease.lease_id, self.keys.of(lease.lease_id)))


class KernelRoute(_LeaseRoute):
    """``/v1/leases/{id}/kernel``."""

    async def put(self, lease_id: str) -> None:
        """Tie a lease to the process of its kernel."""
        pid = codec.decode(self.request.body, BindRequest).pid
        lease = self._usable(lease_id)
        if self._is_seen():
            await self._bind(lease, self._kernel(pid))
        else:  # its pid means nothing here
            await admit(self.service, self.driver, lease, self.peer.pid)
            await self.service.post(events.LeaseBound(lease_id, self._beating(lease)))
            self._tell_bound(lease_id, 0)

    def _tell_bound(self, lease_id: str, pid: int) -> None:
        lease = self._usable(lease_id)
        log.info("%s", story.bound(self.service.state, lease_id, pid))
        self.answer(self.views().lease(lease))

    def _beating(self, lease: Lease) -> Holder:
        return lease.requester if is_heartbeat(lease.requester) else new_heartbeat()

    async def _bind(self, lease: Lease, kernel: Process) -> None:
        await self._end_if_taken(lease, self.peer.pid, kernel.pid)
        await admit(self.service, self.driver, lease, kernel.pid)
        await self.service.post(events.LeaseBound(lease.lease_id, holder_of(kernel), kernel.pid))
        self._tell_bound(lease.lease_id, kernel.pid)
        await self._show(lease, kernel)

    async def _show(self, lease: Lease, kernel: Process) -> None:
        """On a simulated node the slice shows what its kernel does."""
        place = self.service.state.place_of(lease)
        if isinstance(self.driver, Mirror) and place is not None and place.identity is not None:
            await asyncio.to_thread(self.driver.mirror, place.identity, kernel.pid)

    def _kernel(self, pid: int) -> Process:
        """The process with that pid, if the asker may name it: its own child, or itself."""
        process = processes.find(pid)
        if process is None:
            raise errors.NotTheHolder(f"There is no process {pid}.")
        if process.uid != self.peer.uid:
            raise errors.NotTheHolder(f"Process {pid} belongs to another user.")
        if not processes.descends(process, self.peer.pid):
            raise errors.NotTheHolder(
                f"Process {pid} was not started by the process that asks.",
                situation=f"That is process {self.peer.pid}.",
            )
        return process


class HeartbeatRoute(_LeaseRoute):
    """``/v1/leases/{id}/heartbeat``."""

    def put(self, lease_id: str) -> None:
        """Whatever the lease hangs on lives."""
        lease = self._mine(lease_id)
        if lease.state is LeaseState.RELEASED:  # however it ended: nothing is to be said for it
            raise errors.LeaseEnded(f"Lease {lease_id} is over.")
        # One whose lease was ended says that it has let go, or has to fall silent.
        if lease.state is not LeaseState.DRAINING:
            for holder in (lease.requester, lease.kernel):
                self.service.heartbeats.beat(holder)
        self.answer(self.views().lease(lease))


class RenewalRoute(_LeaseRoute):
    """``/v1/leases/{id}/renewal``."""

    async def post(self, lease_id: str) -> None:
        """The kernel will be started again, by the process that asks."""
        lease = self._usable(lease_id)
        asker = self._asker() if self._is_seen() else successor(lease.requester)
        await self._end_if_taken(lease, self.peer.pid)
        await self.service.post(events.LeaseRenewed(lease_id, asker))
        self._usable(lease_id)
        self.answer(self.views().lease(lease))


class ResizeRoute(_LeaseRoute):
    """``/v1/leases/{id}/resize``."""

    async def post(self, lease_id: str) -> None:
        """Keep room for another size while the old kernel goes, or refuse before it stops."""
        size = codec.decode(self.request.body, ResizeRequest).size
        lease = self._usable(lease_id)
        limits = await self.service.policy.limits(self.peer.uid)
        led_to = await self.service.post(events.ResizeRequested(lease_id, size, limits))
        for action in led_to:
            if isinstance(action, actions.RefuseResize) and action.lease_id == lease_id:
                raise self.refusals().not_resized(lease, size, action.reason, limits)
        self._usable(lease_id)
        self.answer(self.views().lease(lease))


def _is_undecided(lease: Lease) -> bool:
    return lease.state in _UNDECIDED
