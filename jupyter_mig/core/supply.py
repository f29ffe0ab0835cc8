"""What there is to be had: sizes, existing instances, room for new ones. Reading only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

from jupyter_mig.core import sizes
from jupyter_mig.core.leases import Lease
from jupyter_mig.core.placement import Candidate
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import GpuState, Place, PlaceState, State

NOTHING: frozenset[str] = frozenset()


def offers(state: State) -> Iterator[sizes.Offer]:
    """Every profile that could be had on this node, now or later."""
    makers = (
        occupancy.geometry
        for occupancy, uuids in state.index.alike(state.gpus)
        if state.gpus[uuids[0]].creates
    )
    for geometry in {id(geometry): geometry for geometry in makers}.values():  # most are the same
        for profile in geometry.profiles:
            if profile.starts:
                yield sizes.Offer(profile.name, profile.memory_bytes, profile.width)
    for place in state.apart():
        if not place.ours and place.state is not PlaceState.OUTSIDE:
            yield sizes.Offer(place.profile_name, place.memory_bytes)


def wanted(state: State, rules: Rules, size: str, allowed: Sequence[str] = ()) -> list[str]:
    """The profiles that satisfy ``size`` on this node, the smallest first; only those that satisfy
    one of ``allowed``, too, if there are any.
    """
    return sizes.preferences(sizes.parse(size, rules.names), _among(state, rules, allowed))


def allowed(state: State, rules: Rules, names: Sequence[str]) -> frozenset[str]:
    """The profiles of this node that satisfy one of ``names``; all if there are none."""
    return frozenset(offer.name for offer in _among(state, rules, names))


def _among(state: State, rules: Rules, names: Sequence[str]) -> Iterator[sizes.Offer]:
    requests = [sizes.parse(each, rules.names) for each in names]
    for offer in offers(state):
        if not requests or any(request.accepts(offer) for request in requests):
            yield offer


def offered(state: State, rules: Rules, size: str) -> bool:
    """Whether this node has the size at all."""
    return bool(wanted(state, rules, size))


def width(state: State, rules: Rules, size: str) -> float:
    """How much of a GPU the size takes, for planning a batch largest first."""
    names = wanted(state, rules, size)
    return max(
        (
            profile.width / gpu.gpu.geometry.units
            for gpu in state.gpus.values()
            for profile in gpu.gpu.geometry.profiles
            if names and profile.name == names[0] and profile.starts
        ),
        default=0.0,
    )


def keys(state: State, lease: Lease) -> frozenset[str]:
    """The parkings a lease may use: its own, and that of the resize it is part of."""
    parking = state.parkings.get(lease.instead_of)
    mine = parking is not None and parking.owner == lease.owner
    return frozenset({lease.lease_id, lease.instead_of} if mine else {lease.lease_id})


def candidates(
    state: State,
    name: str,
    keys: frozenset[str],
    without: frozenset[str] = NOTHING,
    closed: frozenset[str] = NOTHING,
) -> Iterator[Candidate]:
    """GPUs on which an instance of profile ``name`` might be made, those in ``closed`` apart."""
    for uuid, gpu in state.gpus.items():
        profile = gpu.gpu.geometry.by_name.get(name)
        if profile is not None and profile.starts and _usable(gpu) and uuid not in closed:
            occupancy = state.occupancy(uuid, without=without, keys=keys)
            yield Candidate(uuid, gpu.gpu.index, profile, occupancy)


def different(
    state: State, name: str, keys: frozenset[str], closed: frozenset[str] = NOTHING
) -> Iterator[Candidate]:
    """Those of :func:`candidates` among which the best place is found: of GPUs on which the same is
    taken only the first, and none that has no room.
    """
    if state.parkings:
        yield from candidates(state, name, keys, closed=closed)
        return
    for occupancy, uuids in state.index.alike(state.gpus):
        profile = occupancy.geometry.by_name.get(name)
        if profile is not None and any(occupancy.fits(profile, at) for at in profile.starts):
            open_ones = (state.gpus[uuid] for uuid in uuids if uuid not in closed)
            first = next((gpu.gpu for gpu in open_ones if _usable(gpu)), None)
            if first is not None:
                yield Candidate(first.uuid, first.index, profile, occupancy)


def _usable(gpu: GpuState) -> bool:
    return gpu.creates and gpu.trusted and not gpu.problem


def idle(
    state: State, name: str, owner: int, keys: frozenset[str], closed: frozenset[str] = NOTHING
) -> Iterator[Place]:
    """Existing instances of profile ``name`` that ``owner`` may be given, unless the name or their
    GPU is in ``closed``.
    """
    kept = {
        instance_id
        for parking in state.parkings.values()
        if parking.key not in keys
        for instance_id in parking.instances
    }
    for place in state.apart():
        if (
            place.state is PlaceState.IDLE
            and place.profile_name == name
            and place.instance_id not in kept
            and closed.isdisjoint((name, place.spec.gpu_uuid))
            and _on_offer(state, place, owner)
        ):
            yield place


def first_idle(
    state: State, name: str, owner: int, keys: frozenset[str], closed: frozenset[str] = NOTHING
) -> Place | None:
    """The one of :func:`idle` that is taken."""
    found = idle(state, name, owner, keys, closed)
    return min(found, key=attrgetter("instance_id"), default=None)


def _on_offer(state: State, place: Place, owner: int) -> bool:
    gpu = state.gpus[place.spec.gpu_uuid]
    quiet = not place.busy and place.retry_at is None
    return quiet and place.warm_owner in (None, owner) and gpu.trusted and not gpu.problem
