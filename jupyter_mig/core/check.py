"""The invariants: what must be true of the ledger after every event."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from jupyter_mig.core import line
from jupyter_mig.core.leases import USABLE, WITH_INSTANCE, Lease, LeaseState
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import Place, PlaceState, State


class BrokenInvariant(AssertionError):
    """The ledger contradicts itself: a bug, never the fault of an event."""


def check(state: State, rules: Rules) -> None:
    """Assert every invariant; raises :class:`BrokenInvariant` naming the first that fails."""
    for gpu_uuid in state.gpus:
        _no_overlap(state, gpu_uuid)
        _parkings_disjoint(state, gpu_uuid)
    for lease in state.leases.values():
        _lease_has_its_instance(state, lease)
        _lease_is_held(lease)
    for place in state.instances.values():
        _instance_has_a_reason(state, place)
    _one_lease_per_kernel(state)
    _line_in_order(state, rules)


def _require(condition: object, what: str) -> None:
    if not condition:
        raise BrokenInvariant(what)


def _no_overlap(state: State, gpu_uuid: str) -> None:
    geometry = state.gpus[gpu_uuid].gpu.geometry
    taken = 0
    for place in state.on_gpu(gpu_uuid):
        profile = geometry.by_id.get(place.spec.profile_id)
        if profile is None or place.spec.start is None:
            continue
        window = profile.window(place.spec.start)
        _require(not taken & window, f"{place.instance_id} overlaps another on {gpu_uuid}")
        taken |= window


def _parkings_disjoint(state: State, gpu_uuid: str) -> None:
    """Room is kept for one owner only (whose resize and waiting request may share it)."""
    for one, other in combinations(state.parkings.values(), 2):
        shared = one.masks.get(gpu_uuid, 0) & other.masks.get(gpu_uuid, 0)
        _require(not shared or one.owner == other.owner, f"two parkings overlap on {gpu_uuid}")


def _lease_has_its_instance(state: State, lease: Lease) -> None:
    place = state.place_of(lease)
    if lease.state not in WITH_INSTANCE:
        _require(lease.instance_id is None, f"{lease.lease_id} is {lease.state} with an instance")
        return
    _require(place is not None, f"{lease.lease_id} is {lease.state} without an instance")
    _require(place is not None and place.lease_id == lease.lease_id, f"{lease.lease_id}: not its")
    if lease.state in USABLE:
        _require(place is not None and place.identity is not None, f"{lease.lease_id}: not live")


def _lease_is_held(lease: Lease) -> None:
    if lease.state is LeaseState.BOUND:
        _require(lease.kernel is not None, f"{lease.lease_id} is bound to nothing")
    if lease.state in (LeaseState.WAITING, LeaseState.CREATING, LeaseState.GRANTED):
        _require(not lease.requester_left, f"{lease.lease_id} waits for nobody")


def _instance_has_a_reason(state: State, place: Place) -> None:
    has_lease = place.lease_id in state.leases
    needs = place.state in (PlaceState.HELD, PlaceState.CREATING, PlaceState.CLAIMING)
    if place.state is PlaceState.UNRESOLVED:
        needs = place.was is not PlaceState.DESTROYING
    _require(
        has_lease == needs, f"{place.instance_id} is {place.state} with lease {place.lease_id}"
    )
    if place.state is PlaceState.IDLE and place.ours:
        _require(place.warm_until is not None, f"{place.instance_id} is ours and idle for ever")
    if place.state is PlaceState.CONDEMNED:
        _require(place.retry_at is not None or place.asked or place.ours, "condemned, forgotten")


def _one_lease_per_kernel(state: State) -> None:
    over = (LeaseState.DOOMED, LeaseState.DRAINING)
    asked = Counter(
        (lease.owner, lease.kernel_id) for lease in state.leases.values() if lease.state not in over
    )
    _require(all(count == 1 for count in asked.values()), "one kernel, two leases")


def _line_in_order(state: State, rules: Rules) -> None:
    """Nobody at the head of the line waits although there is room."""
    head = next(iter(state.waiting()), None)
    if head is None:
        return
    mine = line.keys(state, head)
    for name in line.wanted(state, rules, head.size):
        free = next(line.idle(state, name, head.owner, mine), None)
        _require(free is None, f"{head.lease_id} waits beside idle {name}")
        for candidate in line.candidates(state, name, mine):
            _require(
                not candidate.occupancy.room(candidate.profile),
                f"{head.lease_id} waits beside room for {name}",
            )
