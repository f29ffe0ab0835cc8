"""The ledger: events in, actions out. Nothing else changes what it knows.

Theory of operation
===================

1. ``handle(event, now)`` is the only way in. It never reads a clock and never fails on what a
   user may ask: a bad request is answered by a Refuse action. It raises only on a bug.
2. Ids come in with events or are counted, times come in as ``now``, rules when a broker takes
   over; so the same events give the same actions, and *the state is the replay of the log*. A
   snapshot only shortens the log. What the rule of placement decided is kept with the event that
   led to it and taken from there in a replay: the rule may be another by then, the hardware is not.
3. The broker logs an event before it is handled, the choices after, and carries out actions then.
   Whatever it is doing to the driver is therefore implied by the log: there is no second list of
   intents.
4. Every call to the driver is answered by exactly one event (see :mod:`.actions`), answers about
   one GPU in the order of the calls. A call that cannot be cancelled (a creation) is not: its
   lease is *doomed*, and the instance is undone when it is there.
5. An instance has a spec (where) and an identity (what NVML calls it, reused by the next tenant);
   they are matched only by an observation.
6. A lease whose holder lives ends only when its instance is proved gone: by a full, successful
   observation, or by NVML giving its id to another instance.
7. After each event, in this order: what is due happens, the line is served, those who waited
   long enough are refused (and the line is served again: they may have stood in the way).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from jupyter_mig.core import (
    administration,
    deadlines,
    events,
    instances,
    line,
    observations,
    pools,
    requests,
)
from jupyter_mig.core.actions import AnyAction, Enqueue
from jupyter_mig.core.check import check
from jupyter_mig.core.choices import Choice
from jupyter_mig.core.leases import Holder, LeaseState
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import State
from jupyter_mig.core.turn import Turn


def _time_passed(_turn: Turn, _event: events.TimePassed) -> None:
    """Time is handled after every event."""


HANDLERS: Mapping[type[events.Event], Callable[[Turn, Any], None]] = MappingProxyType(
    {
        events.SlicesRequested: requests.slices_requested,
        events.LeaseBound: requests.lease_bound,
        events.LeaseRenewed: requests.lease_renewed,
        events.LeaseReleased: requests.lease_released,
        events.HolderLeft: requests.holder_left,
        events.ResizeRequested: requests.resize_requested,
        events.InstanceCreated: instances.instance_created,
        events.CreateFailed: instances.create_failed,
        events.InstanceClaimed: instances.instance_claimed,
        events.ClaimFailed: instances.claim_failed,
        events.InstanceTaken: instances.instance_taken,
        events.InstanceDestroyed: instances.instance_destroyed,
        events.DestroyFailed: instances.destroy_failed,
        events.OccupantsObserved: instances.occupants_observed,
        events.OccupantsUnknown: instances.occupants_unknown,
        events.GpuObserved: observations.gpu_observed,
        events.GpuFailed: observations.gpu_failed,
        events.BrokerStarted: observations.broker_started,
        events.LeaseRevoked: administration.lease_revoked,
        events.GpuDrained: administration.gpu_drained,
        events.GpuReopened: administration.gpu_reopened,
        events.OrphanAdopted: administration.orphan_adopted,
        events.OrphanCondemned: administration.orphan_condemned,
        events.TimePassed: _time_passed,
    }
)


_TIMELESS = (events.SlicesRequested, events.InstanceCreated)
"""Events that come by the hundred at one moment, and make nothing due at it: what was due then has
happened with the first of them.
"""


class Ledger:
    """Who holds what. See the module's theory of operation.

    ``choices`` are those that the last event led to, to be kept with it; ``given`` are the rules
    that its broker brings along, to be told with the event that it took over.
    """

    def __init__(self, rules: Rules | None = None, state: State | None = None) -> None:
        self.given = rules or Rules()
        self.state = state or State()
        self.choices: tuple[Choice, ...] = ()

    @property
    def rules(self) -> Rules:
        """Those that hold: the ones under which the last event was handled."""
        return self.state.rules or self.given

    def handle(
        self, event: events.AnyEvent, now: float, choices: Iterable[Choice] = ()
    ) -> list[AnyAction]:
        """Take in what happened at ``now`` (seconds; a clock that went back is held still, but
        for a reboot, which starts it again) and say what is to be done.

        ``choices`` are those that the event led to when it was handled first.
        """
        restarted = False
        if isinstance(event, events.BrokerStarted):
            restarted = observations.rebooted(self.state, event)
            self.state.rules = event.rules
        then = self.state.now
        self.state.now = float(now) if restarted else max(then, float(now))
        turn = Turn(self.state, self.rules, self.state.now - then, choices)
        before = self.state.counter
        HANDLERS[type(event)](turn, event)
        if turn.passed or not isinstance(event, _TIMELESS):
            deadlines.due(turn)
        self._settle(turn)
        self._announce(turn, before)
        self.choices = tuple(turn.choices.made)
        return turn.actions

    def _settle(self, turn: Turn) -> None:
        line.serve(turn)
        if deadlines.give_up(turn):
            line.serve(turn)
        pools.fill(turn)

    def _announce(self, turn: Turn, before: int) -> None:
        """Tell those who asked in this turn that they have to wait."""
        asked = self.state.waiting() if self.state.counter > before else ()
        for lease in asked:
            if lease.order > before and lease.state is LeaseState.WAITING:
                turn.do(Enqueue(lease.lease_id))

    def next_deadline(self) -> float | None:
        """When a :class:`~jupyter_mig.core.events.TimePassed` is due, in seconds on the events'
        clock.
        """
        return deadlines.upcoming(self.state)

    def holders(self) -> set[Holder]:
        """Everything whose life has to be watched now."""
        return self.state.holders()

    def check(self) -> None:
        """Raise :class:`~jupyter_mig.core.check.BrokenInvariant` if the state is impossible."""
        check(self.state, self.rules)

    def snapshot(self) -> bytes:
        """The state as JSON."""
        return msgspec.json.encode(self.state)

    @classmethod
    def restore(cls, snapshot: bytes, rules: Rules | None = None) -> Ledger:
        """The ledger as it was; raises ``msgspec.DecodeError`` if the JSON is no state."""
        return cls(rules, msgspec.json.decode(snapshot, type=State))

    @classmethod
    def replay(
        cls,
        history: Iterable[tuple[events.AnyEvent, float, tuple[Choice, ...]]],
        rules: Rules | None = None,
    ) -> Ledger:
        """The ledger after these events; their actions were carried out long ago."""
        ledger = cls(rules)
        for event, now, choices in history:
            ledger.handle(event, now, choices)
        return ledger
