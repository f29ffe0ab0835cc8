"""Events by which the driver answers: an instance was made, claimed, destroyed, or was not."""

from __future__ import annotations

from jupyter_mig.core.actions import Grant, ObserveGpu, Signal, SignalOccupants
from jupyter_mig.core.events import (
    ClaimFailed,
    CreateFailed,
    DestroyFailed,
    InstanceClaimed,
    InstanceCreated,
    InstanceDestroyed,
    InstanceTaken,
    OccupantsObserved,
    OccupantsUnknown,
)
from jupyter_mig.core.leases import EndReason, Lease, LeaseState, Trigger
from jupyter_mig.core.state import Leaver, Place, PlaceState
from jupyter_mig.core.turn import Turn

CLAIM_RETRY_SECONDS = 2.0
"""How long an existing instance in somebody's use is left alone before it is tried again."""


def _find(turn: Turn, instance_id: str, *states: PlaceState) -> Place | None:
    """The instance if it is in one of the states the answer belongs to; a late answer is void."""
    place = turn.state.instances.get(instance_id)
    return place if place is not None and place.state in states else None


def instance_created(turn: Turn, event: InstanceCreated) -> None:
    """Made: grant it, or undo it if nobody wants it any more."""
    place = _find(turn, event.instance_id, PlaceState.CREATING)
    if place is None:
        return
    for other in turn.state.on_gpu(place.spec.gpu_uuid):
        if other.identity and other.identity.gi_id == event.identity.gi_id:
            _superseded(turn, other)
    place.identity = event.identity
    ready(turn, place)


def _superseded(turn: Turn, place: Place) -> None:
    """NVML has given its id to another instance, which it does only when the last bearer is gone.
    Whatever the driver still answers about it is void.
    """
    if place.state is PlaceState.CLAIMING:
        lease = turn.state.tenant(place)
        turn.forget(place)
        turn.hand_back(place)
        back_in_line(turn, lease, "gone", hopeless=False, extra=turn.rules.failed_patience)
    else:
        turn.lose(place)


def instance_claimed(turn: Turn, event: InstanceClaimed) -> None:
    """Found empty and locked: the same as made."""
    place = _find(turn, event.instance_id, PlaceState.CLAIMING)
    if place is not None:
        ready(turn, place)


def ready(turn: Turn, place: Place) -> None:
    """The instance can be used from now on: by its lease, or by anybody."""
    if place.pooled:
        turn.become(place, PlaceState.IDLE)
        turn.state.pool_failures = 0
        return
    lease = turn.state.tenant(place)
    turn.become(place, PlaceState.HELD)
    place.left_by = None
    if lease.state is LeaseState.DOOMED:
        turn.end(lease, Trigger.MADE, EndReason.CANCELLED)
        place.lease_id = None
        turn.let_go(place)
    else:
        turn.move(lease, Trigger.MADE)
        lease.granted_at, lease.error = turn.now, ""
        lease.deadline = turn.now + turn.rules.bind_grace
        turn.do(Grant(lease.lease_id))


def create_failed(turn: Turn, event: CreateFailed) -> None:
    """Not made: our picture of that GPU is wrong. Look again, and let the request try again. What
    could not be undone stays ours, so that it is destroyed when it is seen.
    """
    place = _find(turn, event.instance_id, PlaceState.CREATING)
    if place is None:
        return
    lease = turn.state.lease_of(place)
    (turn.abandon if event.left_there else turn.forget)(place)
    if lease is None:
        pool_failed(turn)
    else:
        try_again(turn, lease, event.error, hopeless=event.hopeless)
    distrust(turn, place.spec.gpu_uuid)


def pool_failed(turn: Turn) -> None:
    """An instance was not made for a pool: it has time, more and more."""
    turn.state.pool_failures += 1
    turn.state.pools_at = turn.now + turn.rules.backoff(turn.state.pool_failures)


def try_again(turn: Turn, lease: Lease, error: str, *, hopeless: bool) -> None:
    """An instance was not made for this request, or nobody can say; so many times, and no more."""
    lease.attempts += 1
    hopeless = hopeless or lease.attempts >= turn.rules.create_attempts
    back_in_line(turn, lease, error, hopeless=hopeless, extra=turn.rules.failed_patience)


def back_in_line(turn: Turn, lease: Lease, error: str, *, hopeless: bool, extra: float) -> None:
    """The request lost its instance: wait again in the old place in line, or end for good.

    ``extra`` is how many seconds it may wait beyond its own patience.
    """
    lease.error = error
    if hopeless or lease.state is LeaseState.DOOMED:
        reason = EndReason.DRIVER if lease.state is not LeaseState.DOOMED else EndReason.CANCELLED
        turn.end(lease, Trigger.HOPELESS, reason, error)
        return
    turn.move(lease, Trigger.FAILED)
    lease.instance_id = None
    if lease.patience_seconds is not None:
        patience_ends = lease.requested_at + lease.patience_seconds
        lease.deadline = max(patience_ends, turn.now + extra)


def distrust(turn: Turn, gpu_uuid: str) -> None:
    """Start nothing on a GPU until it has been observed again, and have that done."""
    gpu = turn.state.gpus.get(gpu_uuid)
    if gpu is not None and gpu.trusted:
        gpu.trusted, gpu.observe_at = False, None
        turn.do(ObserveGpu(gpu_uuid))


def claim_failed(turn: Turn, event: ClaimFailed) -> None:
    """Somebody is on the instance. Leave one that exists anyway for a while; one of ours was
    warm, nobody should be there, and it goes. Its request looks for another.
    """
    place = _find(turn, event.instance_id, PlaceState.CLAIMING)
    if place is None:
        return
    lease = turn.state.tenant(place)
    place.lease_id = None
    if place.ours:
        turn.destroy(place)
    else:
        turn.become(place, PlaceState.IDLE)
        place.retry_at = turn.now + CLAIM_RETRY_SECONDS
    extra = turn.rules.failed_patience if place.ours else 0.0
    back_in_line(turn, lease, event.error, hopeless=False, extra=extra)


def instance_taken(turn: Turn, event: InstanceTaken) -> None:
    """Lost to others: from now on one that exists anyway, and is busy."""
    place = _find(turn, event.instance_id, PlaceState.HELD)
    lease = turn.state.lease_of(place) if place is not None else None
    if place is None or lease is None:
        return
    place.lease_id, place.ours, place.busy = None, False, True
    turn.become(place, PlaceState.IDLE)
    turn.hand_back(place)
    turn.end(lease, Trigger.LOST, EndReason.LOST)


def instance_destroyed(turn: Turn, event: InstanceDestroyed) -> None:
    """Gone: its room is free."""
    place = _find(turn, event.instance_id, PlaceState.DESTROYING, PlaceState.CONDEMNED)
    if place is not None:
        turn.forget(place)


def destroy_failed(turn: Turn, event: DestroyFailed) -> None:
    """It would not go: try again later and later; condemn it after a while, never forget it."""
    place = _find(turn, event.instance_id, PlaceState.DESTROYING, PlaceState.CONDEMNED)
    if place is None:
        return
    place.failures += 1
    place.suspects = event.suspects
    if place.state is PlaceState.CONDEMNED or place.failures >= turn.rules.condemn_failures:
        turn.condemn(place)
    else:
        place.retry_at = turn.now + turn.rules.backoff(place.failures)


def occupants_observed(turn: Turn, event: OccupantsObserved) -> None:
    """Somebody looked at an instance that we want empty."""
    place = _find(turn, event.instance_id, PlaceState.HELD, PlaceState.CONDEMNED)
    if place is None or not place.asked:
        return
    lease = turn.state.lease_of(place)
    place.asked, place.suspects = False, _present(lease, event.pids)
    if lease is None:
        _condemned_observed(turn, place, empty=not event.pids)
    elif event.pids or lease.kernel is not None:
        _clear_out(turn, lease, place)
    else:
        turn.let_go(place)
        turn.end(lease, Trigger.EMPTY, EndReason.RELEASED)


def _present(lease: Lease | None, pids: tuple[int, ...]) -> tuple[int, ...]:
    """Who is on the instance. A kernel that lives may start to compute there at any moment, so it
    counts even while NVML does not list it.
    """
    if lease is None or lease.kernel is None or lease.kernel_pid is None:
        return pids
    return tuple(sorted({*pids, lease.kernel_pid}))


def _condemned_observed(turn: Turn, place: Place, *, empty: bool) -> None:
    if empty:
        turn.let_go(place)
    else:
        place.failures += 1
        place.retry_at = turn.now + turn.rules.backoff(place.failures)


def _clear_out(turn: Turn, lease: Lease, place: Place) -> None:
    """Ask the processes left on a draining slice to leave, then make them, then give up on it;
    in this order, however late the driver could say that they are there. A kernel that is no
    process here, a container perhaps, cannot be made to: it says that it is gone or falls silent.
    """
    draining_for = turn.now - lease.since
    unseen = lease.kernel is not None and lease.kernel_pid is None
    tried = place.signalled is Signal.KILL and draining_for >= turn.rules.condemn_after
    if tried and not unseen:
        place.left_by = Leaver(lease.owner, lease.lease_id)
        turn.end(lease, Trigger.CONDEMNED, EndReason.RELEASED)
        turn.condemn(place)
        return
    if place.signalled is None:
        _signal(turn, lease, place, Signal.TERM)
    elif draining_for >= turn.rules.term_grace:
        _signal(turn, lease, place, Signal.KILL)  # each time: there may be new ones
    place.failures += 1
    longest = turn.rules.retry_last if unseen else turn.rules.term_grace
    place.retry_at = turn.now + min(turn.rules.backoff(place.failures), longest)


def _signal(turn: Turn, lease: Lease, place: Place, signal: Signal) -> None:
    place.signalled = signal
    if place.identity is None:
        return
    granted_at = lease.granted_at if lease.granted_at is not None else turn.now
    turn.do(
        SignalOccupants(
            place.instance_id,
            place.spec.gpu_uuid,
            place.identity,
            lease.owner,
            place.suspects,
            granted_at,
            signal,
            lease.kernel,
        )
    )


def occupants_unknown(turn: Turn, event: OccupantsUnknown) -> None:
    """The driver could not say. That frees nothing; ask again later."""
    place = _find(turn, event.instance_id, PlaceState.HELD, PlaceState.CONDEMNED)
    if place is not None and place.asked:
        place.asked = False
        place.failures += 1
        place.retry_at = turn.now + turn.rules.backoff(place.failures)
