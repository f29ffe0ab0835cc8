"""What the broker must be doing, read off the ledger's state (theory of operation, 3)."""

from __future__ import annotations

from collections.abc import Iterator

from jupyter_mig.core import actions
from jupyter_mig.core.state import PlaceState, State


def implied(state: State) -> Iterator[tuple[type[actions.Action], str]]:
    """The driver calls that must be under way: sort, and instance or GPU."""
    for place in state.instances.values():
        ours = place.ours and place.retry_at is None
        if place.state is PlaceState.CREATING:
            yield actions.CreateInstance, place.instance_id
        elif place.state is PlaceState.CLAIMING:
            yield actions.ClaimInstance, place.instance_id
        elif place.state in (PlaceState.DESTROYING, PlaceState.CONDEMNED) and ours:
            yield actions.DestroyInstance, place.instance_id
        if place.asked:
            yield actions.ObserveOccupants, place.instance_id
    for uuid, each in state.gpus.items():
        if not each.trusted and each.observe_at is None:
            yield actions.ObserveGpu, uuid
