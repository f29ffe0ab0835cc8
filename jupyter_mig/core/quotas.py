"""What owners hold, and whether one may have more by the limits of his request. Reading only.

A slice counts from the moment somebody is given room until he gives it back: while it is emptied
and destroyed it is nobody's, unless somebody was found on it. Then it is his until it is empty:
whoever leaves somebody on his slices, or hands them on, pays for it himself. Room that is kept for
somebody counts as his.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jupyter_mig.core import supply
from jupyter_mig.core.geometry import Gpu
from jupyter_mig.core.leases import WITH_INSTANCE, Lease, LeaseState
from jupyter_mig.core.policy import UNLIMITED, Limits
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import Parking, Place, State

HOLDING = WITH_INSTANCE - {LeaseState.DRAINING}
"""States in which a lease counts against the limits of its owner."""

_HAIR = 1e-9
"""Thirds and eighths do not add up exactly."""


class Held(NamedTuple):
    """So many slices, and how much of the node's GPUs they are in all (1.0 is a whole GPU)."""

    slices: int = 0
    share: float = 0.0

    def plus(self, share: float) -> Held:
        """And one slice more."""
        return Held(self.slices + 1, self.share + share)

    def is_within(self, limits: Limits) -> bool:
        """Whether one may hold this."""
        fits = limits.share is None or self.share <= limits.share + _HAIR
        return fits and (limits.slices is None or self.slices <= limits.slices)


NOTHING_HELD = Held()


def held(
    state: State, owner: int, keys: frozenset[str] = supply.NOTHING, without: str = ""
) -> Held:
    """What ``owner`` holds. Parkings named in ``keys`` are about to be used and do not count, nor
    do slices of theirs that have been given back, nor the lease named in ``without``, which is
    about to be.
    """
    kept = {p.key: p for p in state.parkings.values() if p.owner == owner and p.key not in keys}
    total = Held()
    for place in state.instances.values():
        if _owner(state, place, keys) == owner and place.lease_id not in {*kept, without}:
            total = total.plus(worth(state, place))
    for parking in kept.values():
        total = total.plus(_worth_kept(state, parking))
    return total


def everybodys(state: State) -> dict[int, Held]:
    """What each owner holds by leases, apart from what is kept for him."""
    found: dict[int, Held] = {}
    for place in state.instances.values():
        lease = state.lease_of(place)
        if lease is not None and lease.state in HOLDING:
            has = found.get(lease.owner, NOTHING_HELD)
            found[lease.owner] = has.plus(worth(state, place))
    return found


def _owner(state: State, place: Place, keys: frozenset[str]) -> int | None:
    """Whose an instance counts as."""
    lease = state.lease_of(place)
    if lease is None:
        return place.left_by.owner if place.left_by is not None and place.suspects else None
    still_used = place.signalled is not None and lease.lease_id not in keys
    counts = lease.state in HOLDING or still_used
    return lease.owner if counts else None


def beside(state: State, lease: Lease) -> Held:
    """What the owner of a request holds besides what is kept for it; nothing if that is all the
    same.
    """
    if not is_limited(lease.limits):
        return NOTHING_HELD
    return held(state, lease.owner, supply.keys(state, lease))


def is_limited(limits: Limits | None) -> bool:
    """Whether it matters what the owner holds."""
    return limits is not None and (limits.slices is not None or limits.share is not None)


def worth(state: State, place: Place) -> float:
    """How much of its GPU an instance is: by memory slices, or by bytes where they are unknown."""
    gpu = state.gpus[place.spec.gpu_uuid].gpu
    profile = gpu.geometry.by_id.get(place.spec.profile_id)
    return _fraction(gpu, profile.width if profile else 0, place.memory_bytes)


def _fraction(gpu: Gpu, width: int, memory_bytes: int) -> float:
    if width and gpu.geometry.units:
        return width / gpu.geometry.units
    return min(memory_bytes / gpu.memory_bytes, 1.0) if gpu.memory_bytes else 1.0


def _worth_kept(state: State, parking: Parking) -> float:
    """That of the room kept; at the least that of the slice that it is to replace."""
    lease = state.leases.get(parking.key)
    place = state.place_of(lease) if lease is not None else None
    masks = (
        mask.bit_count() / state.gpus[uuid].gpu.geometry.units
        for uuid, mask in parking.masks.items()
        if uuid in state.gpus and state.gpus[uuid].gpu.geometry.units
    )
    return max(sum(masks), worth(state, place) if place is not None else 0.0)


def wanted(state: State, rules: Rules, lease: Lease) -> list[str]:
    """The profiles that satisfy the request and are allowed, the smallest first."""
    return supply.wanted(state, rules, lease.size, (lease.limits or UNLIMITED).sizes)


def least(state: State, rules: Rules, lease: Lease) -> float:
    """How much of a GPU the request takes at the least; 0 if there is nothing for it."""
    names = wanted(state, rules, lease)[:1]
    return min((each for name in names for _, each in _worths(state, name)), default=0.0)


def _worths(state: State, name: str) -> Iterator[tuple[str, float]]:
    """(GPU, worth) wherever instances of profile ``name`` are or could be made."""
    for uuid, gpu in state.gpus.items():
        profile = gpu.gpu.geometry.by_name.get(name)
        if profile is not None and profile.starts:
            yield uuid, _fraction(gpu.gpu, profile.width, profile.memory_bytes)
    for place in state.apart():
        if place.profile_name == name and not place.ours:
            yield place.spec.gpu_uuid, worth(state, place)


def never(state: State, rules: Rules, lease: Lease) -> bool:
    """Whether the limits do not allow it, even to somebody who holds nothing."""
    return lease.limits is not None and not allows(state, rules, lease, NOTHING_HELD)


def exceeded(state: State, rules: Rules, lease: Lease) -> bool:
    """Whether its owner must give something back before he may have it, room or no room."""
    if not is_limited(lease.limits) or not wanted(state, rules, lease):
        return False
    return not allows(state, rules, lease, beside(state, lease))


def anybody_may(state: State, rules: Rules, leases: Iterable[Lease]) -> bool:
    """Whether the limits of one of these requests allow it now; a flood of alike ones is one."""
    alike = {
        (one.owner, one.size, one.limits, one.instead_of, one.lease_id in state.parkings): one
        for one in leases
    }
    return any(not exceeded(state, rules, one) for one in alike.values())


def allows(state: State, rules: Rules, lease: Lease, besides: Held) -> bool:
    """Whether its limits allow the request to one who holds ``besides``."""
    limits = lease.limits or UNLIMITED
    return any(
        besides.plus(each).is_within(limits)
        for name in wanted(state, rules, lease)
        for _, each in _worths(state, name)
    )


def more(state: State, limits: Limits, name: str, besides: Held, most: int) -> int:
    """How many of profile ``name`` one may have who holds ``besides``; ``most`` or fewer."""
    if not is_limited(limits):
        return most
    each = min((worth for _, worth in _worths(state, name)), default=0.0)
    count = 0
    while count < most and (besides := besides.plus(each)).is_within(limits):
        count += 1
    return count


def too_much(
    state: State, limits: Limits | None, name: str, besides: Held = NOTHING_HELD
) -> frozenset[str]:
    """The GPUs of which one of profile ``name`` is too much for one who holds ``besides``."""
    if limits is None or not is_limited(limits):
        return supply.NOTHING
    return frozenset(
        uuid for uuid, each in _worths(state, name) if not besides.plus(each).is_within(limits)
    )
