"""One handling of one event: the state it works on and the actions it gives out."""

from __future__ import annotations

from collections.abc import Iterable

from jupyter_mig.core.actions import (
    AnyAction,
    DestroyInstance,
    End,
    ObserveOccupants,
    Refuse,
    ReturnInstance,
)
from jupyter_mig.core.choices import Choice, Choices
from jupyter_mig.core.leases import EndReason, Lease, LeaseState, Trigger
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import Leaver, Place, PlaceState, State


class Turn:
    """What the topic modules share: state, rules, the time, and the steps that several of them
    take (ending a lease, letting go of an instance). ``passed`` is the seconds since the event
    before, ``batch`` the requests that were made together in this turn and not yet served.
    """

    def __init__(
        self, state: State, rules: Rules, passed: float, chosen: Iterable[Choice] = ()
    ) -> None:
        self.state = state
        self.rules = rules
        self.now = state.now
        self.passed = passed
        self.actions: list[AnyAction] = []
        self.choices = Choices(chosen)
        self.batch: list[Lease] = []

    def do(self, action: AnyAction) -> None:
        """Give out an action."""
        self.actions.append(action)

    def move(self, lease: Lease, trigger: Trigger) -> None:
        """Have a lease go where the table of transitions says."""
        lease.move(trigger, self.now)
        self.state.index.moved(lease)

    def become(self, place: Place, state: PlaceState) -> None:
        """Have an instance do something else."""
        place.become(state, self.now)
        self.state.index.became(place)

    def end(self, lease: Lease, trigger: Trigger, reason: EndReason, error: str = "") -> None:
        """Move a lease by ``trigger``; if that is the end, file it away and say so."""
        had_slice = lease.granted_at is not None
        if lease.instance_id is not None:
            self.state.served[lease.owner] = self.now
        self.move(lease, trigger)
        lease.reason, lease.error = lease.reason or reason, lease.error or error
        if lease.state is not LeaseState.RELEASED:
            return
        lease.instance_id = None
        self.state.remove_lease(lease)
        self.state.ended[lease.lease_id] = lease
        while len(self.state.ended) > self.rules.remembered:
            self.state.ended.pop(next(iter(self.state.ended)))
        if not had_slice:
            self.state.parkings.pop(lease.lease_id, None)
        if lease.owner not in self.state.index.counts:
            self.state.served.pop(lease.owner, None)
        self.do((End if had_slice else Refuse)(lease.lease_id, lease.reason))

    def wish_over(self, lease: Lease, reason: EndReason) -> None:
        """Nobody wants this lease any more: end it from whatever state it is in."""
        self.end(lease, Trigger.END, reason)
        if lease.state is LeaseState.DRAINING:
            self.observe_occupants(self.state.instances[lease.instance_id or ""])

    def observe_occupants(self, place: Place) -> None:
        """Ask who is on the instance, unless the question is already out."""
        if place.identity is None or place.asked:
            return
        place.asked, place.retry_at = True, None
        self.do(ObserveOccupants(place.instance_id, place.spec.gpu_uuid, place.identity))

    def let_go(self, place: Place) -> None:
        """The instance is empty and nobody's: keep it warm, destroy it, or hand it back."""
        lease = self.state.lease_of(place)
        owner = lease.owner if lease else None
        place.left_by = None
        if lease is not None and place.ours:
            place.left_by = Leaver(lease.owner, lease.lease_id)
        place.lease_id, place.signalled, place.suspects, place.failures = None, None, (), 0
        if not place.ours:
            self.become(place, PlaceState.IDLE)
            self.hand_back(place)
        elif self.rules.warm > 0 and owner is not None and not self.state.is_drained(place):
            self.become(place, PlaceState.IDLE)
            place.warm_owner, place.warm_until = owner, self.now + self.rules.warm
        else:
            self.destroy(place)

    def hand_back(self, place: Place) -> None:
        """Drop a lock on the instance."""
        if place.identity is not None:
            self.do(ReturnInstance(place.instance_id, place.spec.gpu_uuid, place.identity))

    def destroy(self, place: Place) -> None:
        """Have an instance of ours destroyed."""
        place.lease_id = None
        self.become(place, PlaceState.DESTROYING)
        if place.identity is not None:
            self.do(DestroyInstance(place.instance_id, place.spec.gpu_uuid, place.identity))

    def condemn(self, place: Place) -> None:
        """Give up waiting for an instance to go; it counts as occupied and is retried."""
        place.lease_id = None
        self.become(place, PlaceState.CONDEMNED)
        place.retry_at = self.now + self.rules.backoff(place.failures)

    def forget(self, place: Place) -> None:
        """The instance is gone."""
        self.state.remove_place(place)

    def abandon(self, place: Place) -> None:
        """Nobody waits for an instance of ours that may be there or not: when the GPU is seen and
        it is, it goes.
        """
        place.lease_id = None
        place.pooled = False
        self.become(place, PlaceState.UNRESOLVED)
        place.was = PlaceState.DESTROYING

    def lose(self, place: Place) -> None:
        """The instance was found gone, by somebody else's doing; so are its lease and a lock."""
        lease = self.state.lease_of(place)
        self.forget(place)
        self.hand_back(place)
        if lease is not None:
            self.end(lease, Trigger.LOST, EndReason.LOST)
