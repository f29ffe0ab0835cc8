"""The invariants: what must be true of the ledger after every event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import combinations

from jupyter_mig.core import fairness, quotas, supply
from jupyter_mig.core.index import Index
from jupyter_mig.core.leases import USABLE, WITH_INSTANCE, Lease, LeaseState
from jupyter_mig.core.policy import UNLIMITED, Limits
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import Parking, Place, PlaceState, State


class BrokenInvariant(AssertionError):
    """The ledger contradicts itself: a bug, never the fault of an event."""


def check(state: State, rules: Rules) -> None:
    """Assert every invariant; raises :class:`BrokenInvariant` naming the first that fails."""
    for gpu_uuid in state.gpus:
        _no_overlap(state, gpu_uuid)
        _parkings_disjoint(state, gpu_uuid)
    for parking in state.parkings.values():
        _parked_room_is_kept(state, parking)
    for lease in state.leases.values():
        _lease_has_its_instance(state, lease)
        _lease_is_held(lease)
    for place in state.instances.values():
        _instance_has_a_reason(state, place)
    _one_lease_per_kernel(state)
    _require(state.index == Index(state.leases.values(), state.instances.values()), "a stale index")
    _pools_filled(state, rules)
    _nobody_over_quota(state)
    _line_in_order(state, rules)


def _require(condition: object, what: str) -> None:
    if not condition:
        raise BrokenInvariant(what)


def _no_overlap(state: State, gpu_uuid: str) -> None:
    geometry = state.gpus[gpu_uuid].gpu.geometry
    taken = 0
    for place in state.on_gpu(gpu_uuid):
        window = geometry.window(place.spec) or 0
        _require(not taken & window, f"{place.instance_id} overlaps another on {gpu_uuid}")
        taken |= window


def _parkings_disjoint(state: State, gpu_uuid: str) -> None:
    """Room is kept for one owner only (whose resize and waiting request may share it)."""
    for one, other in combinations(state.parkings.values(), 2):
        shared = one.masks.get(gpu_uuid, 0) & other.masks.get(gpu_uuid, 0)
        _require(not shared or one.owner == other.owner, f"two parkings overlap on {gpu_uuid}")


def _parked_room_is_kept(state: State, parking: Parking) -> None:
    for gpu_uuid, mask in parking.masks.items():
        for place in state.on_gpu(gpu_uuid) if gpu_uuid in state.gpus else ():
            lease = state.lease_of(place)
            inside = (state.gpus[gpu_uuid].gpu.geometry.window(place.spec) or 0) & mask
            _require(
                lease is None or not inside or lease.owner == parking.owner,
                f"{place.instance_id} took room parked for {parking.key}",
            )


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
    """Somebody lives on whom it hangs, or it is on its way out."""
    if lease.state is LeaseState.BOUND:
        _require(lease.kernel is not None, f"{lease.lease_id} is bound to nothing")
    elif lease.state not in (LeaseState.DOOMED, LeaseState.DRAINING):
        _require(lease.kernel is None, f"{lease.lease_id} is {lease.state} with a kernel")
        _require(not lease.requester_left, f"{lease.lease_id} is {lease.state} for nobody")
    if lease.state in (LeaseState.GRANTED, LeaseState.ORPHANED):
        _require(lease.deadline is not None, f"{lease.lease_id} is {lease.state} for ever")
    _require(lease.state is not LeaseState.RELEASED, f"{lease.lease_id} is over and not filed")


def _instance_has_a_reason(state: State, place: Place) -> None:
    has_lease = place.lease_id in state.leases
    needs = place.state in (PlaceState.HELD, PlaceState.CREATING, PlaceState.CLAIMING)
    if place.state is PlaceState.UNRESOLVED:
        needs = place.was is not PlaceState.DESTROYING
    needs = needs and not place.pooled
    if place.state not in (PlaceState.CREATING, PlaceState.UNRESOLVED):
        _require(place.identity is not None, f"{place.instance_id} is {place.state}, yet unknown")
    _require(
        has_lease == needs, f"{place.instance_id} is {place.state} with lease {place.lease_id}"
    )
    if place.state is PlaceState.IDLE and place.ours:
        kept = place.pooled or place.warm_until is not None
        _require(kept, f"{place.instance_id} is ours and idle for ever")
    lease = state.lease_of(place)
    draining = lease is not None and lease.state is LeaseState.DRAINING
    if draining or (place.state is PlaceState.CONDEMNED and not place.ours):
        pending = place.retry_at is not None or place.asked
        _require(pending, f"nobody looks whether {place.instance_id} is empty")


def _one_lease_per_kernel(state: State) -> None:
    over = (LeaseState.DOOMED, LeaseState.DRAINING)
    asked = Counter(
        (lease.owner, lease.kernel_id) for lease in state.leases.values() if lease.state not in over
    )
    _require(all(count == 1 for count in asked.values()), "one kernel, two leases")


def _pools_filled(state: State, rules: Rules) -> None:
    """While nobody waits, as far as there is room; and never fuller than they are to be."""
    for size, count in rules.pools.items():
        names = supply.wanted(state, rules, size)[:1]
        pooled = [p for p in state.instances.values() if p.pooled and p.profile_name in names]
        ready = [place for place in pooled if place.state is PlaceState.IDLE]
        _require(len(ready) <= count, f"{len(ready)} of {size} are ready, more than {count}")
        if len(pooled) < count and not state.waiting() and state.pools_at is None:
            room = any(
                candidate.occupancy.room(candidate.profile)
                for name in names
                for candidate in supply.candidates(state, name, supply.NOTHING)
            )
            _require(not room, f"there is room for a {size}, and the pool is not full")


def _nobody_over_quota(state: State) -> None:
    """Nobody holds more than the most generous of the rules under which he was given it."""
    holding = [lease for lease in state.leases.values() if lease.state in quotas.HOLDING]
    for owner, has in quotas.everybodys(state).items():
        limits = [lease.limits for lease in holding if lease.owner == owner]
        most = _most_generous(each or UNLIMITED for each in limits)
        _require(has.is_within(most), f"{owner} holds {has}, more than {most}")


def _most_generous(limits: Iterable[Limits]) -> Limits:
    given = list(limits)
    slices = [each.slices for each in given if each.slices is not None]
    shares = [each.share for each in given if each.share is not None]
    return Limits(
        "",
        slices=max(slices) if len(slices) == len(given) else None,
        share=max(shares) if len(shares) == len(given) else None,
    )


def _line_in_order(state: State, rules: Rules) -> None:
    """Nobody waits beside room that he may have, unless one before him was passed for too long and
    room is kept for it.
    """
    for lease in fairness.in_line(state, rules):
        if quotas.exceeded(state, rules, lease):
            continue
        _nothing_free_for(state, rules, lease)
        if state.now - lease.requested_at >= rules.overtake:
            return


def _nothing_free_for(state: State, rules: Rules, lease: Lease) -> None:
    mine = supply.keys(state, lease)
    besides = quotas.beside(state, lease)
    for name in quotas.wanted(state, rules, lease):
        shut = quotas.too_much(state, lease.limits, name, besides)
        free = next(supply.idle(state, name, lease.owner, mine, shut), None)
        _require(free is None, f"{lease.lease_id} waits beside idle {name}")
        for candidate in supply.candidates(state, name, mine, closed=shut):
            _require(
                not candidate.occupancy.room(candidate.profile),
                f"{lease.lease_id} waits beside room for {name}",
            )
