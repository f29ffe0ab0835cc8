"""The queue and how it is served.

Rules of service, in order:

1. Requests are tried in the order they were made; the first that fits is served first.
2. Others may pass a blocked request for ``rules.overtake`` seconds; after that the GPUs and the
   existing instances it could use are kept for it, so that nothing starves and nobody waits for
   room that could not help. Room parked for a request is its own.
3. A request takes, of the profiles that satisfy it, the smallest for which there is room: an
   existing instance (warm or static) before a new one, a new one before clearing warm ones away.
"""

from __future__ import annotations

from collections.abc import Iterator

from jupyter_mig.core import sizes
from jupyter_mig.core.actions import ClaimInstance, CreateInstance
from jupyter_mig.core.geometry import Profile, Spec
from jupyter_mig.core.leases import Lease, Trigger
from jupyter_mig.core.placement import Candidate, choose
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import GpuState, Parking, Place, PlaceState, State
from jupyter_mig.core.turn import Turn

_NOTHING: frozenset[str] = frozenset()


def offers(state: State) -> Iterator[sizes.Offer]:
    """Every profile that could be had on this node, now or later."""
    for gpu in state.gpus.values():
        if gpu.creates:
            for profile in gpu.gpu.geometry.profiles:
                if profile.starts:
                    yield sizes.Offer(profile.name, profile.memory_bytes, profile.width)
    for place in state.instances.values():
        if not place.ours and place.state is not PlaceState.OUTSIDE:
            yield sizes.Offer(place.profile_name, place.memory_bytes)


def wanted(state: State, rules: Rules, size: str) -> list[str]:
    """The profiles that satisfy ``size`` on this node, the smallest first."""
    return sizes.preferences(sizes.parse(size, rules.names), offers(state))


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
    without: frozenset[str] = _NOTHING,
    closed: frozenset[str] = _NOTHING,
) -> Iterator[Candidate]:
    """GPUs on which an instance of profile ``name`` might be made, those in ``closed`` apart."""
    for uuid, gpu in state.gpus.items():
        profile = gpu.gpu.geometry.by_name.get(name)
        if profile is not None and profile.starts and _usable(gpu) and uuid not in closed:
            occupancy = state.occupancy(uuid, without=without, keys=keys)
            yield Candidate(uuid, gpu.gpu.index, profile, occupancy)


def _usable(gpu: GpuState) -> bool:
    return gpu.creates and gpu.trusted and not gpu.problem


def idle(
    state: State, name: str, owner: int, keys: frozenset[str], closed: frozenset[str] = _NOTHING
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
    for place in state.instances.values():
        if (
            place.profile_name == name
            and place.instance_id not in kept
            and closed.isdisjoint((name, place.spec.gpu_uuid))
            and _on_offer(state, place, owner)
        ):
            yield place


def _on_offer(state: State, place: Place, owner: int) -> bool:
    gpu = state.gpus[place.spec.gpu_uuid]
    quiet = place.state is PlaceState.IDLE and not place.busy and place.retry_at is None
    return quiet and place.warm_owner in (None, owner) and gpu.trusted and not gpu.problem


def serve(turn: Turn) -> None:
    """Give room to whoever can have it; again when somebody with room parked found other room, for
    an elder may fit where it was kept.
    """
    parked_before: set[str] | None = None
    while parked_before is None or not parked_before <= turn.state.parkings.keys():
        parked_before = set(turn.state.parkings)
        _serve_each(turn)


def _serve_each(turn: Turn) -> None:
    """Try everybody once, but nobody who wants what an elder could not have: room only shrinks
    meanwhile.
    """
    closed = _NOTHING
    in_vain: set[tuple[str, int | None]] = set()
    owners = {place.warm_owner for place in turn.state.instances.values()}
    for lease in turn.state.waiting():
        wish = (lease.size, lease.owner if lease.owner in owners else None)
        privileged = not keys(turn.state, lease).isdisjoint(turn.state.parkings)
        if wish in in_vain and not privileged:
            continue
        if not _place(turn, lease, _NOTHING if privileged else closed):
            in_vain.add(wish)
            if turn.now - lease.requested_at >= turn.rules.overtake:
                closed |= _of_use(turn.state, turn.rules, lease.size)


def _of_use(state: State, rules: Rules, size: str) -> frozenset[str]:
    """What a request of that size could use: names of existing instances, and GPUs."""
    names = wanted(state, rules, size)
    gpus = (
        uuid
        for uuid, gpu in state.gpus.items()
        if gpu.creates and not gpu.gpu.geometry.by_name.keys().isdisjoint(names)
    )
    return frozenset((*names, *gpus))


def _place(turn: Turn, lease: Lease, closed: frozenset[str]) -> bool:
    names = wanted(turn.state, turn.rules, lease.size)
    return any(
        _take_idle(turn, lease, name, closed) or _make(turn, lease, name, closed) for name in names
    ) or any(_clear_warm(turn, lease, name, closed) for name in names)


def _take_idle(turn: Turn, lease: Lease, name: str, closed: frozenset[str]) -> bool:
    found = idle(turn.state, name, lease.owner, keys(turn.state, lease), closed)
    place = min(found, key=lambda place: place.instance_id, default=None)
    if place is None or place.identity is None:
        return False
    place.become(PlaceState.CLAIMING, turn.now)
    _give(turn, lease, place)
    turn.do(ClaimInstance(place.instance_id, place.spec.gpu_uuid, place.identity))
    return True


def _make(turn: Turn, lease: Lease, name: str, closed: frozenset[str]) -> bool:
    mine = keys(turn.state, lease)
    spec = choose(candidates(turn.state, name, mine, closed=closed))
    if spec is None:
        return False
    profile = turn.state.gpus[spec.gpu_uuid].gpu.geometry.by_id[spec.profile_id]
    place = _planned(turn, spec, profile)
    _give(turn, lease, place)
    turn.do(CreateInstance(place.instance_id, spec))
    return True


def _planned(turn: Turn, spec: Spec, profile: Profile) -> Place:
    place = Place(
        instance_id=f"i{turn.state.count()}",
        spec=spec,
        profile_name=profile.name,
        memory_bytes=profile.memory_bytes,
        state=PlaceState.CREATING,
        ours=True,
        since=turn.now,
    )
    turn.state.instances[place.instance_id] = place
    return place


def _give(turn: Turn, lease: Lease, place: Place) -> None:
    place.lease_id, lease.instance_id = lease.lease_id, place.instance_id
    lease.move(Trigger.ROOM, turn.now)
    turn.state.parkings.pop(lease.lease_id, None)


def _clear_warm(turn: Turn, lease: Lease, name: str, closed: frozenset[str]) -> bool:
    """Park a window that only warm instances are in, and have those destroyed. The lease goes on
    waiting, with room of its own.
    """
    if lease.lease_id in turn.state.parkings:
        return True
    mine = keys(turn.state, lease)
    spec = choose(candidates(turn.state, name, mine, frozenset(_warm(turn.state)), closed))
    if spec is None:
        return False
    parking = Parking(lease.lease_id, lease.owner, lease.size, turn.now + turn.rules.park)
    _keep(turn.state, parking, spec)
    turn.state.parkings[lease.lease_id] = parking
    if lease.deadline is not None:
        lease.deadline = max(lease.deadline, turn.now + turn.rules.failed_patience)
    _clear(turn, spec)
    return True


def _warm(state: State) -> dict[str, Place]:
    return {
        place.instance_id: place
        for place in state.instances.values()
        if place.state is PlaceState.IDLE and place.ours
    }


def _clear(turn: Turn, spec: Spec) -> None:
    """Have the warm instances destroyed that are in the way of ``spec``."""
    geometry = turn.state.gpus[spec.gpu_uuid].gpu.geometry
    window = geometry.window(spec) or 0
    for place in _warm(turn.state).values():
        if place.spec.gpu_uuid == spec.gpu_uuid and (geometry.window(place.spec) or 0) & window:
            turn.destroy(place)


def park(turn: Turn, parking: Parking, old: Place) -> bool:
    """Fill ``parking`` with room for its size, ``old`` counted free, and with the old room."""
    spec = _room_beside(turn, parking, old)
    if spec is None:
        return False
    parking.instances += (old.instance_id,)
    _keep(turn.state, parking, spec)
    _keep(turn.state, parking, old.spec)
    return True


def _room_beside(turn: Turn, parking: Parking, old: Place) -> Spec | None:
    """Where the parking's size can be had: as for a request, an existing instance before a new
    one, a new one before clearing warm ones away.
    """
    mine, away = frozenset({parking.key}), frozenset({old.instance_id})
    names = wanted(turn.state, turn.rules, parking.size)
    for name in names:
        existing = next(idle(turn.state, name, parking.owner, mine), None)
        if existing is not None:
            parking.instances = (existing.instance_id,)
            return existing.spec
        spec = choose(candidates(turn.state, name, mine, away))
        if spec is not None:
            return spec
    for name in names:
        spec = choose(candidates(turn.state, name, mine, away.union(_warm(turn.state))))
        if spec is not None:
            _clear(turn, spec)
            return spec
    return None


def _keep(state: State, parking: Parking, spec: Spec) -> None:
    window = state.gpus[spec.gpu_uuid].gpu.geometry.window(spec) or 0
    parking.masks[spec.gpu_uuid] = parking.masks.get(spec.gpu_uuid, 0) | window
