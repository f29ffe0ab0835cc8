"""What people ask of the ledger: what is free, how long will it take, what of mine is in the way.

Reading only. Nothing here is guessed: an estimate is given only where something that is already
on its way will make room.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from jupyter_mig.core import fairness, quotas, sizes, supply
from jupyter_mig.core.leases import USABLE, Lease, LeaseState
from jupyter_mig.core.placement import choose
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import Place, PlaceState, State

_NO_KEYS: frozenset[str] = frozenset()
CLEARING_SECONDS = 1.0
"""What we say an instance that is being emptied or destroyed still takes."""


class SizeOffer(msgspec.Struct, frozen=True):
    """One size of the node: ``free`` more could start now, ``total`` fit on an empty node.
    ``models`` are the GPUs that have it, each name once.
    """

    name: str
    free: int
    total: int
    memory_bytes: int
    multiprocessors: int
    width: int
    models: tuple[str, ...] = ()


class InTheWay(msgspec.Struct, frozen=True):
    """A lease of the asker's own, and whether ending it alone would make room."""

    lease: Lease
    profile_name: str
    would_make_room: bool


def sizes_offered(state: State, owner: int) -> list[SizeOffer]:
    """Every size this node has, in reading order, with what is free of it for ``owner``."""
    names = {offer.name for offer in supply.offers(state)}
    return [_size(state, name, owner) for name in sorted(names, key=sizes.order)]


def _size(state: State, name: str, owner: int) -> SizeOffer:
    example = _example(state, name)
    return SizeOffer(
        name=name,
        free=free(state, name, owner),
        total=_total(state, name),
        memory_bytes=example.memory_bytes,
        multiprocessors=example.multiprocessors,
        width=example.width,
        models=_models(state, name),
    )


def _models(state: State, name: str) -> tuple[str, ...]:
    existing = {p.spec.gpu_uuid for p in state.instances.values() if p.profile_name == name}
    having = (
        gpu.gpu.name
        for uuid, gpu in state.gpus.items()
        if name in gpu.gpu.geometry.by_name or uuid in existing
    )
    return tuple(dict.fromkeys(having))


def _example(state: State, name: str) -> SizeOffer:
    """The figures of the first GPU that has the size; the driver may not know all of them."""
    for gpu in state.gpus.values():
        profile = gpu.gpu.geometry.by_name.get(name)
        if profile is not None:
            return SizeOffer(
                name, 0, 0, profile.memory_bytes, profile.multiprocessors, profile.width
            )
    memory = next(p.memory_bytes for p in state.instances.values() if p.profile_name == name)
    return SizeOffer(name, 0, 0, memory, 0, 0)


def free(state: State, name: str, owner: int) -> int:
    """How many more of ``name`` could start now. Warm instances make way and count as room."""
    existing = sum(1 for place in supply.idle(state, name, owner, _NO_KEYS) if not place.ours)
    return existing + sum(
        candidate.occupancy.room(candidate.profile)
        for candidate in supply.candidates(state, name, _NO_KEYS, _warm(state))
    )


def _warm(state: State) -> frozenset[str]:
    return frozenset(
        place.instance_id
        for place in state.instances.values()
        if place.ours and place.state is PlaceState.IDLE
    )


def _total(state: State, name: str) -> int:
    everything = frozenset(state.instances)
    existing = sum(
        1
        for place in state.instances.values()
        if not place.ours and place.state is not PlaceState.OUTSIDE and place.profile_name == name
    )
    return existing + sum(
        candidate.occupancy.room(candidate.profile)
        for candidate in supply.candidates(state, name, frozenset(state.parkings), everything)
    )


def by_kernel(state: State, owner: int, kernel_id: str) -> Lease | None:
    """The live lease of ``owner`` for a kernel, whatever its id."""
    over = (LeaseState.DOOMED, LeaseState.DRAINING)
    known = state.index.asked.get((owner, kernel_id), {})
    return next((lease for lease in known.values() if lease.state not in over), None)


def place_in_line(state: State, rules: Rules, lease_id: str) -> int | None:
    """1 for the head of the line, None for a lease that does not wait."""
    return places_in_line(state, rules).get(lease_id)


def places_in_line(state: State, rules: Rules) -> dict[str, int]:
    """Those of all leases that wait."""
    line = fairness.in_line(state, rules)
    return {lease.lease_id: place for place, lease in enumerate(line, 1)}


def estimate_seconds(state: State, rules: Rules, lease_id: str) -> float | None:
    """How long the head of the line still waits, if what is already on its way makes room for it;
    None when that is not enough, or for others: a slice in use ends when its user ends it.
    """
    if place_in_line(state, rules, lease_id) != 1:
        return None
    lease = state.leases[lease_id]
    if quotas.exceeded(state, rules, lease):
        return None
    gone: set[str] = set()
    for seconds, place in sorted(_leaving(state), key=lambda pair: pair[0]):
        gone.add(place.instance_id)
        if _fits_without(state, rules, lease, frozenset(gone)):
            return seconds
    return None


def _leaving(state: State) -> Iterator[tuple[float, Place]]:
    """Instances whose end is known, with the seconds until then."""
    for place in state.instances.values():
        lease = state.lease_of(place)
        if place.state is PlaceState.DESTROYING:
            yield CLEARING_SECONDS, place
        elif lease is not None and lease.state is LeaseState.DRAINING:
            yield 2 * CLEARING_SECONDS, place
        elif lease is not None and lease.state is LeaseState.ORPHANED and lease.deadline:
            yield max(lease.deadline - state.now, 0.0) + 2 * CLEARING_SECONDS, place


def _fits_without(state: State, rules: Rules, lease: Lease, gone: frozenset[str]) -> bool:
    """Whether the lease would have a place if those instances were away."""
    mine = supply.keys(state, lease)
    names = quotas.wanted(state, rules, lease)
    handed_back = {
        place.profile_name
        for place in state.instances.values()
        if place.instance_id in gone and not place.ours
    }
    return any(
        name in handed_back or choose(supply.candidates(state, name, mine, gone)) is not None
        for name in names
    )


def mine_in_the_way(state: State, rules: Rules, owner: int, size: str) -> list[InTheWay]:
    """The owner's leases, those first whose end alone would make room for ``size``, then the
    longest held.
    """
    found = []
    for lease in state.leases.values():
        place = state.place_of(lease)
        if lease.owner == owner and lease.state in USABLE and place is not None:
            wish = msgspec.structs.replace(lease, size=size, instead_of="")
            makes_room = _fits_without(state, rules, wish, frozenset({place.instance_id}))
            found.append(InTheWay(lease, place.profile_name, makes_room))
    found.sort(key=lambda entry: (not entry.would_make_room, entry.lease.granted_at or 0.0))
    return found
