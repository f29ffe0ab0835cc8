"""Who sees what the ledger has done, and writes the annals."""

from __future__ import annotations

from typing import Protocol

from jupyter_mig.broker.memory.annals import Annals
from jupyter_mig.broker.processes import Process
from jupyter_mig.core import actions
from jupyter_mig.core.actions import Action
from jupyter_mig.core.leases import Lease
from jupyter_mig.core.state import State
from jupyter_mig.wire.administration import Entry, Interval


class Witness(Protocol):
    """What the service tells as it happens."""

    def took_over(self, state: State) -> None:
        """A broker has taken over, and knows what is."""

    def saw(self, action: Action, state: State) -> None:
        """The ledger decided that; ``state`` is after it."""

    def caught(self, lease_id: str, owner: int, intruder: Process) -> None:
        """A process is on the slice of a user who is not its own. From any thread."""

    def met(self, lease_id: str, owner: int, opener: Process) -> None:
        """A process has the slice of a user open who is not its own, and does not use it. From any
        thread.
        """


class Nobody:
    """For brokers of one user: there is nobody to tell."""

    def took_over(self, state: State) -> None:
        """Nothing."""

    def saw(self, action: Action, state: State) -> None:
        """Nothing."""

    def caught(self, lease_id: str, owner: int, intruder: Process) -> None:
        """Nothing."""

    def met(self, lease_id: str, owner: int, opener: Process) -> None:
        """Nothing."""


class Chronicler:
    """Writes the annals."""

    def __init__(self, annals: Annals) -> None:
        self._annals = annals
        self._slices: dict[str, tuple[str, str]] = {}

    def took_over(self, state: State) -> None:
        """Intervals of leases that are gone are over."""
        self._slices = {name: _slice(state, lease) for name, lease in state.leases.items()}
        self._annals.end_all_but(frozenset(state.leases))
        self._annals.note(Entry(self._annals.now(), "broker-started"))

    def saw(self, action: Action, state: State) -> None:
        """Note what is about a lease."""
        if isinstance(action, actions.Enqueue | actions.Grant | actions.Refuse | actions.End):
            lease = state.leases.get(action.lease_id) or state.ended.get(action.lease_id)
            if lease is not None:
                self._note(action, lease, state)

    def caught(self, lease_id: str, owner: int, intruder: Process) -> None:
        """Note whose process it was."""
        reason = f"process {intruder.pid} of uid {intruder.uid}"
        entry = Entry(
            self._annals.now(),
            "intruder",
            owner,
            lease_id,
            reason=reason,
            by_uid=intruder.uid,
        )
        self._annals.note(entry)

    def met(self, lease_id: str, owner: int, opener: Process) -> None:
        """Note who could have sent it there: the process may have had no say in it."""
        reason = f"process {opener.pid} of uid {opener.uid} has it open, perhaps by uid {owner}"
        self._annals.note(Entry(self._annals.now(), "opener", owner, lease_id, reason=reason))

    def _note(
        self,
        action: actions.Enqueue | actions.Grant | actions.Refuse | actions.End,
        lease: Lease,
        state: State,
    ) -> None:
        mig_uuid, gpu_uuid = self._slice_of(action, lease, state)
        now = self._annals.now()
        reason = "" if lease.reason is None else lease.reason.value
        what = {"Enqueue": "waits", "Grant": "granted", "Refuse": "refused", "End": "ended"}
        self._annals.note(
            Entry(
                now,
                what[type(action).__name__],
                lease.owner,
                lease.lease_id,
                lease.size,
                lease.label,
                mig_uuid,
                gpu_uuid,
                reason,
            )
        )
        if isinstance(action, actions.Grant) and mig_uuid:
            self._annals.begin(
                Interval(
                    lease.lease_id, lease.owner, lease.size, mig_uuid, gpu_uuid, now, None, None
                )
            )
        elif isinstance(action, actions.End):
            self._annals.end(lease.lease_id, reason)

    def _slice_of(self, action: Action, lease: Lease, state: State) -> tuple[str, str]:
        """That of a lease that has ended is no longer its own by then."""
        if isinstance(action, actions.Grant):
            self._slices[lease.lease_id] = _slice(state, lease)
        had = self._slices.get(lease.lease_id, ("", ""))
        if isinstance(action, actions.End):
            self._slices.pop(lease.lease_id, None)
        return had


def _slice(state: State, lease: Lease) -> tuple[str, str]:
    place = state.place_of(lease)
    if place is None or place.identity is None:
        return "", ""
    return place.identity.mig_uuid or "", place.spec.gpu_uuid
