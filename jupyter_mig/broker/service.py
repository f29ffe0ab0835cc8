"""The broker's one order of things: events in line, logged, handled, acted upon.

An event is committed to the log before the ledger hears of it, and so are the choices it leads to
before its actions are carried out. Events that come while a commit is under way share the next one.

While the log cannot be written nothing is granted: requests are refused, but what has happened
(an instance was made, a process ended, an owner let go) is kept in order and tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.entries import REFUSABLE, Entry, Outcome
from jupyter_mig.broker.hardware.hardware import Hardware, gpu_of
from jupyter_mig.broker.hardware.lanes import Lanes
from jupyter_mig.broker.hardware.stock import Stock
from jupyter_mig.broker.holders import patrol
from jupyter_mig.broker.holders.heartbeats import Heartbeats
from jupyter_mig.broker.holders.holders import Holders
from jupyter_mig.broker.memory.log import Record
from jupyter_mig.broker.memory.recovery import Recovered
from jupyter_mig.broker.memory.witness import Nobody, Witness
from jupyter_mig.broker.policy import Policy
from jupyter_mig.broker.settings import Settings
from jupyter_mig.broker.story import Story
from jupyter_mig.broker.supervisor import Supervisor
from jupyter_mig.broker.waiters import Waiters
from jupyter_mig.core import actions, events
from jupyter_mig.core.actions import AnyAction
from jupyter_mig.core.choices import Choice
from jupyter_mig.core.events import AnyEvent
from jupyter_mig.core.leases import Lease
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import State

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_MOST_AT_ONCE = 64  # events: the loop has others to serve, too
_SHORTEST_SLEEP_SECONDS = 0.01
_LONGEST_SLEEP_SECONDS = 30.0


class Service:
    """Owns the ledger. Lives on one event loop; construct it there. ``since`` is when, in seconds
    on the ledger's clock, this broker took over.
    """

    def __init__(
        self,
        recovered: Recovered,
        hardware: Hardware,
        settings: Settings,
        clock: Callable[[], float] = processes.boottime,
        witness: Witness | None = None,
        *,
        policy: Policy | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self._witness = witness or Nobody()
        self.settings = settings
        self.clock = clock
        self.since = clock()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._log, self._ledger = recovered
        self._story = Story(self._ledger.state)
        self._hardware = hardware
        self._patrol = patrol.Patrol(hardware.driver, self._witness)
        self.lanes = Lanes(self._fail)
        self._holders = Holders(
            lambda gone: self.tell(events.HolderLeft(gone)),
            settings.silence,
            supervisor,
            longest_silence_seconds=settings.longest_silence,
        )
        self._waiters = Waiters()
        self._writer = ThreadPoolExecutor(1, "log")
        self._queue: list[Entry] = []
        self._wake = asyncio.Event()
        self._unwritable: errors.LogError | None = None
        self._since_snapshot = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving = False
        self._last_seen: dict[str, AnyEvent] = {}

    @property
    def state(self) -> State:
        """What the ledger knows: to read, never to change."""
        return self._ledger.state

    @property
    def rules(self) -> Rules:
        """The ledger's rules."""
        return self._ledger.rules

    @property
    def idle(self) -> bool:
        """Whether there is nothing to stay for: no lease, and no instance of our making."""
        ours = any(place.ours for place in self.state.instances.values())
        return not (self.state.leases or ours or self._queue)

    @property
    def stocks(self) -> Mapping[str, Stock]:
        """What each GPU had to offer when last seen, by UUID."""
        return self._hardware.stocks

    @property
    def locked(self) -> Mapping[str, tuple[str, ...]]:
        """The device nodes that are locked now, by instance."""
        return self._hardware.locked

    @property
    def watches_anybody(self) -> bool:
        """Whether a process lives on which a lease hangs."""
        return self._holders.anybody_lives

    @property
    def heartbeats(self) -> Heartbeats:
        """The holders that are no process we can see."""
        return self._holders.heartbeats

    @property
    def held_back(self) -> int:
        """How many answers wait for news of a lease."""
        return len(self._waiters)

    def find(self, lease_id: str) -> Lease | None:
        """A lease, live or remembered."""
        return self.state.leases.get(lease_id) or self.state.ended.get(lease_id)

    async def start(self) -> None:
        """Take over: replayed is the past already; now see who lives and what is there.

        Nobody must be answered before this returns.
        """
        self._tasks.append(asyncio.create_task(self._run()))
        await self.post(events.BrokerStarted(processes.boot_id(), self._ledger.given))
        await self._observe_all()
        self._holders.forget_others()
        self._witness.took_over(self.state)
        self._tasks.append(asyncio.create_task(self._keep_observing()))

    async def post(self, event: AnyEvent) -> list[AnyAction]:
        """Have an event logged and handled; the actions it led to.

        Raises UnwritableLog if it could not be logged.
        """
        handled: asyncio.Future[list[AnyAction]] = asyncio.get_running_loop().create_future()
        self._enqueue(Entry(event, handled))
        return await handled

    def tell(self, event: AnyEvent) -> None:
        """Have an event logged and handled, without waiting for it."""
        self._enqueue(Entry(event, None))

    async def changed(self, lease_id: str, seen: int) -> None:
        """Return once a lease's version is no longer ``seen``."""
        if self._version(lease_id) == seen:
            await self._waiters.changed(lease_id, seen)

    async def stop(self) -> None:
        """Finish the driver calls under way, shorten the log, let go of everything.

        Calls not begun are left to the next broker: the log implies them.
        """
        self._leaving = True
        await self.lanes.stop(self.settings.stop)
        if not self.failed.done():
            with suppress(errors.JupyterMigError):  # what cannot be logged now is found out again
                await self.post(events.TimePassed())  # the last in line
        await self._end_tasks()
        self._holders.close()
        if not self.failed.done():
            await self._shorten()
        await self._in_writer(self._log.close)
        self._writer.shutdown()
        self._hardware.close()

    # -- the line of events

    def _enqueue(self, entry: Entry) -> None:
        self._queue.append(entry)
        self._wake.set()

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._take_turn()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the broker must not go on
            self._fail(error)

    async def _take_turn(self) -> None:
        """Log what stands in line, in one commit; then handle it."""
        batch = self._queue[:_MOST_AT_ONCE]
        if not batch:
            return
        at = self.clock()
        try:
            first = await self._in_writer(
                self._log.append, [Record(at, one.event) for one in batch]
            )
        except errors.LogError as error:
            self._set_back(batch, error)
            return
        self._unwritable = None
        del self._queue[: len(batch)]
        turns = [self._handle(entry, at) for entry in batch]
        choices = {seq: turn.choices for seq, turn in enumerate(turns, first) if turn.choices}
        if choices:
            await self._decided(choices)
        for turn in turns:
            self._carry_out(turn)
        self._after(len(batch))
        if self._queue:
            self._wake.set()
        if self._since_snapshot >= self.settings.snapshot_every:
            await self._shorten()

    def _handle(self, entry: Entry, at: float) -> Outcome:
        """Have the ledger handle an event, and tell of it as things are then."""
        todo = self._ledger.handle(entry.event, at)
        if isinstance(entry.event, events.HolderLeft):
            self._holders.heard(entry.event.holder)
        return Outcome(entry.handled, todo, [*map(self._tell_of, todo)], self._ledger.choices)

    def _carry_out(self, turn: Outcome) -> None:
        for action, gpu_uuid in zip(turn.todo, turn.gpus, strict=True):
            if gpu_uuid is not None and not self._leaving:
                self.lanes.put(gpu_uuid, partial(self._hardware.carry_out, action), self._answered)
        if turn.handled is not None and not turn.handled.done():
            turn.handled.set_result(turn.todo)

    async def _decided(self, choices: Mapping[int, tuple[Choice, ...]]) -> None:
        """Log choices, however long it takes. Those who ask meanwhile are refused."""
        while True:
            try:
                return await self._in_writer(self._log.decide, choices)
            except errors.LogError as error:
                self._set_back(list(self._queue), error)
            await asyncio.sleep(self.settings.write_retry)

    def _after(self, handled: int) -> None:
        self._since_snapshot += handled
        self._holders.watch(self._ledger.holders())
        self._waiters.tell(self._version)
        self._set_alarm()

    def _set_back(self, batch: list[Entry], error: errors.LogError) -> None:
        """The log took nothing: refuse the requests, keep the facts, try again."""
        if self._unwritable is None:
            log.error("%s", error)
        self._unwritable = error
        kept = [
            Entry(entry.event, None) for entry in batch if not isinstance(entry.event, REFUSABLE)
        ]
        self._queue[: len(batch)] = kept
        for entry in batch:
            if entry.handled is not None and not entry.handled.done():
                entry.handled.set_exception(error)
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Wake up when the ledger's next deadline is due, or to try an unwritable log again."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        seconds = self._sleep_seconds()
        if seconds is not None:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _sleep_seconds(self) -> float | None:
        if self._unwritable is not None:
            return self.settings.write_retry
        deadline = self._ledger.next_deadline()
        if deadline is None:
            return None
        return min(max(deadline - self.clock(), _SHORTEST_SLEEP_SECONDS), _LONGEST_SLEEP_SECONDS)

    def _ring(self) -> None:
        """Time has passed, if it has: this clock runs on while the machine sleeps."""
        deadline = self._ledger.next_deadline()
        if self._unwritable is not None or (deadline is not None and deadline <= self.clock()):
            self.tell(events.TimePassed())
        else:
            self._set_alarm()

    # -- the hardware

    def _tell_of(self, action: AnyAction) -> str | None:
        """Tell of an action; the GPU that it is about, if it is about one."""
        self._story.tell(action, self.state)
        self._witness.saw(action, self.state)
        return gpu_of(action, lambda name: self.state.instances[name].spec.gpu_uuid)

    def _answered(self, event: AnyEvent) -> None:
        self._note(event)
        self.tell(event)

    def _note(self, event: AnyEvent) -> None:
        """Remember observations as long as nothing else happened on that GPU."""
        if isinstance(event, events.GpuObserved):
            self._last_seen[event.gpu.uuid] = event
        else:
            self._last_seen.clear()

    async def _observe_all(self) -> None:
        """Look at every GPU there is, and at those that were there; wait for the answers."""
        try:
            gpus = await asyncio.to_thread(self._hardware.driver.gpus)
        except errors.DriverError:
            # With GPUs we know, each look will fail for itself and tell; without, so do we.
            if not self.state.gpus:
                raise
            gpus = ()
        uuids = {gpu.uuid for gpu in gpus} | self.state.gpus.keys()
        await asyncio.gather(*(self._observe(uuid) for uuid in sorted(uuids)))

    async def _observe(self, gpu_uuid: str) -> None:
        handled: asyncio.Future[list[AnyAction]] = asyncio.get_running_loop().create_future()
        seen: list[AnyEvent] = []

        def answered(event: AnyEvent) -> None:
            seen.append(event)
            if self._last_seen.get(gpu_uuid) == event:
                handled.set_result([])  # nothing new: not worth a place in the log
                return
            self._note(event)
            self._enqueue(Entry(event, handled))

        look = actions.ObserveGpu(gpu_uuid)
        self.lanes.put(gpu_uuid, lambda: self._hardware.carry_out(look), answered)
        await handled
        somebody = patrol.posts(self.state, seen[0])
        if somebody and not self._leaving:
            self.lanes.put(gpu_uuid, partial(self._patrol.go, gpu_uuid, somebody), self._answered)

    async def _keep_observing(self) -> None:
        while True:
            await self._pause_between_looks()
            try:
                await self._observe_all()
            except errors.JupyterMigError as error:
                log.warning("The GPUs cannot be observed: %s", error)

    async def _pause_between_looks(self) -> None:
        """Sleep until the next look is due: sooner while somebody waits."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self.settings.observe
        while (left := due - loop.time()) > 0:
            await asyncio.sleep(min(left, self.settings.observe_waiting))
            if self.state.waiting():
                return

    def _version(self, lease_id: str) -> int | None:
        return lease.version if (lease := self.find(lease_id)) else None

    def _fail(self, error: BaseException) -> None:
        """A bug: nothing is done any more, the process ends, and the next one takes over."""
        self._leaving = True
        if not self.failed.done():
            self.failed.set_exception(error)
        for entry in self._queue:
            if entry.handled is not None and not entry.handled.done():
                entry.handled.set_exception(
                    errors.BrokerUnreachable("The broker met an error of its own and is ending")
                )

    async def _shorten(self) -> None:
        self._since_snapshot = 0
        try:
            await self._in_writer(self._log.shorten, self._ledger.snapshot())
        except errors.LogError as error:
            log.warning("The log could not be shortened: %s", error)

    async def _in_writer(self, call: Callable[..., Result], *arguments: object) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, partial(call, *arguments))

    async def _end_tasks(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
