"""Events by which an administrator steps in: leases revoked, GPUs drained, orphans dealt with.

An orphan is an instance that is there and that we did not make, as far as our log knows.
"""

from __future__ import annotations

from jupyter_mig.core.events import (
    GpuDrained,
    GpuReopened,
    LeaseRevoked,
    OrphanAdopted,
    OrphanCondemned,
)
from jupyter_mig.core.instances import distrust
from jupyter_mig.core.leases import EndReason, LeaseState
from jupyter_mig.core.observations import drained
from jupyter_mig.core.state import Place, PlaceState, State
from jupyter_mig.core.turn import Turn

_ENDING = frozenset({LeaseState.DOOMED, LeaseState.DRAINING})


def lease_revoked(turn: Turn, event: LeaseRevoked) -> None:
    """End it as if its owner had; one that ends already goes its way."""
    lease = turn.state.leases.get(event.lease_id)
    if lease is not None and lease.state not in _ENDING:
        lease.error = event.why
        turn.wish_over(lease, EndReason.REVOKED)


def gpu_drained(turn: Turn, event: GpuDrained) -> None:
    """Start nothing there, and keep nothing warm. What is being made is made, and granted."""
    turn.state.drained[event.gpu_uuid] = event.why
    gpu = turn.state.gpus.get(event.gpu_uuid)
    if gpu is None:
        return
    gpu.problem = drained(event.why)
    for place in turn.state.on_gpu(event.gpu_uuid):
        if place.ours and place.state is PlaceState.IDLE:
            turn.destroy(place)


def gpu_reopened(turn: Turn, event: GpuReopened) -> None:
    """Look at it; what was in the way is gone unless something else is."""
    if turn.state.drained.pop(event.gpu_uuid, None) is not None:
        distrust(turn, event.gpu_uuid)


def orphans(state: State) -> list[Place]:
    """Instances on GPUs that we cut, and that we did not cut ourselves."""
    return [place for place in state.instances.values() if _is_orphan(state, place)]


def _is_orphan(state: State, place: Place) -> bool:
    gpu = state.gpus.get(place.spec.gpu_uuid)
    return not place.ours and gpu is not None and gpu.creates


def orphan_adopted(turn: Turn, event: OrphanAdopted) -> None:
    """Hand it out from now on; first look whether somebody is on it."""
    place = _orphan(turn, event.instance_id, PlaceState.OUTSIDE)
    if place is not None and place.identity is not None and place.identity.whole:
        place.adopted = True
        turn.become(place, PlaceState.IDLE)
        distrust(turn, place.spec.gpu_uuid)


def orphan_condemned(turn: Turn, event: OrphanCondemned) -> None:
    """It is ours from now on, and not wanted. The driver destroys none that is in use."""
    place = _orphan(turn, event.instance_id, PlaceState.OUTSIDE, PlaceState.IDLE)
    if place is not None:
        place.ours = True
        turn.destroy(place)


def _orphan(turn: Turn, instance_id: str, *states: PlaceState) -> Place | None:
    place = turn.state.instances.get(instance_id)
    wanted = place is not None and place.state in states and _is_orphan(turn.state, place)
    return place if wanted else None
