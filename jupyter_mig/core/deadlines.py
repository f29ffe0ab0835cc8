"""What happens by itself when its time has come."""

from __future__ import annotations

from collections.abc import Iterator

from jupyter_mig.core import quotas
from jupyter_mig.core.actions import DestroyInstance, ObserveGpu
from jupyter_mig.core.leases import EndReason, Lease, LeaseState, Trigger
from jupyter_mig.core.state import Place, PlaceState, State
from jupyter_mig.core.turn import Turn


def upcoming(state: State) -> float | None:
    """When the next thing is due, if any."""
    return min(_times(state), default=None)


def _times(state: State) -> Iterator[float]:
    for lease in state.leases.values():
        yield from (at for at in (lease.deadline, lease.expires_at) if at is not None)
    for place in state.instances.values():
        yield from (at for at in (place.retry_at, place.warm_until) if at is not None)
    for gpu in state.gpus.values():
        if gpu.observe_at is not None:
            yield gpu.observe_at
    for parking in state.parkings.values():
        yield parking.until
    if state.pools_at is not None:
        yield state.pools_at


def due(turn: Turn) -> None:
    """Everything but giving up waiting, which comes after the line was served."""
    _drop_parkings(turn)
    if _is_due(turn, turn.state.pools_at):
        turn.state.pools_at = None
    for lease in _leases_due(turn.state, turn.now):
        if lease.state is not LeaseState.WAITING and _is_due(turn, lease.deadline):
            lease.deadline = None
            turn.wish_over(lease, EndReason.HOLDER_LEFT)
        if _is_due(turn, lease.expires_at):
            turn.wish_over(lease, EndReason.LIFETIME)
    for place in _places_due(turn.state, turn.now):
        if _is_due(turn, place.retry_at):
            place.retry_at = None
            _retry(turn, place)
        if _is_due(turn, place.warm_until):
            turn.destroy(place)
    for gpu in turn.state.gpus.values():
        if _is_due(turn, gpu.observe_at):
            gpu.observe_at, gpu.trusted = None, False  # so nobody has it looked at twice
            turn.do(ObserveGpu(gpu.gpu.uuid))


def _leases_due(state: State, now: float) -> list[Lease]:
    """Found without a call for each: there may be a thousand, at every event."""
    return [
        lease
        for lease in state.leases.values()
        if (lease.deadline is not None and lease.deadline <= now)
        or (lease.limits is not None and lease.expires_at is not None and lease.expires_at <= now)
    ]


def _places_due(state: State, now: float) -> list[Place]:
    return [
        place
        for place in state.instances.values()
        if (place.retry_at is not None and place.retry_at <= now)
        or (place.warm_until is not None and place.warm_until <= now)
    ]


def _is_due(turn: Turn, at: float | None) -> bool:
    return at is not None and at <= turn.now


def _drop_parkings(turn: Turn) -> None:
    for key, parking in list(turn.state.parkings.items()):
        if _is_due(turn, parking.until):
            turn.state.parkings.pop(key)


def _retry(turn: Turn, place: Place) -> None:
    """The driver call that was put off."""
    destroyable = place.state in (PlaceState.DESTROYING, PlaceState.CONDEMNED) and place.ours
    if destroyable and place.identity is not None:
        turn.do(DestroyInstance(place.instance_id, place.spec.gpu_uuid, place.identity))
    elif place.state in (PlaceState.HELD, PlaceState.CONDEMNED):
        turn.observe_occupants(place)


def give_up(turn: Turn) -> bool:
    """Refuse the requests that have waited long enough; whether there were any."""
    tired = [lease for lease in turn.state.waiting() if _is_due(turn, lease.deadline)]
    for lease in tired:
        turn.end(lease, Trigger.END, _reason(turn, lease))
    return bool(tired)


def _reason(turn: Turn, lease: Lease) -> EndReason:
    if lease.attempts:
        return EndReason.DRIVER
    if quotas.exceeded(turn.state, turn.rules, lease):
        return EndReason.OVER_QUOTA
    return EndReason.OUT_OF_PATIENCE if lease.patience_seconds else EndReason.NO_ROOM
