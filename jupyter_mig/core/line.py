"""The queue and how it is served.

Rules of service, in order:

1. Requests are tried in the order they were made; the first that fits is served first.
2. Smaller requests may pass a blocked one for ``rules.overtake`` seconds; after that the line
   stands still behind its head, so that nothing starves. Room parked for a request is its own.
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
    state: State, name: str, keys: frozenset[str], without: frozenset[str] = frozenset()
) -> Iterator[Candidate]:
    """GPUs on which an instance of profile ``name`` might be made."""
    for uuid, gpu in state.gpus.items():
        profile = gpu.gpu.geometry.by_name.get(name)
        if profile is not None and profile.starts and _usable(gpu):
            occupancy = state.occupancy(uuid, without=without, keys=keys)
            yield Candidate(uuid, gpu.gpu.index, profile, occupancy)


def _usable(gpu: GpuState) -> bool:
    return gpu.creates and gpu.trusted and not gpu.problem


def idle(state: State, name: str, owner: int, keys: frozenset[str]) -> Iterator[Place]:
    """Existing instances of profile ``name`` that ``owner`` may be given."""
    kept = {
        instance_id
        for parking in state.parkings.values()
        if parking.key not in keys
        for instance_id in parking.instances
    }
    for place in state.instances.values():
        if place.state is PlaceState.IDLE and place.profile_name == name:
            gpu = state.gpus[place.spec.gpu_uuid]
            free = not place.busy and place.retry_at is None and place.instance_id not in kept
            if free and place.warm_owner in (None, owner) and gpu.trusted and not gpu.problem:
                yield place


def serve(turn: Turn) -> None:
    """Give room to whoever can have it."""
    blocked = False
    for lease in turn.state.waiting():
        may_pass = not blocked or not keys(turn.state, lease).isdisjoint(turn.state.parkings)
        if may_pass and not _place(turn, lease):
            blocked = blocked or turn.now - lease.requested_at >= turn.rules.overtake


def _place(turn: Turn, lease: Lease) -> bool:
    names = wanted(turn.state, turn.rules, lease.size)
    return any(_take_idle(turn, lease, name) or _make(turn, lease, name) for name in names) or any(
        _clear_warm(turn, lease, name) for name in names
    )


def _take_idle(turn: Turn, lease: Lease, name: str) -> bool:
    found = idle(turn.state, name, lease.owner, keys(turn.state, lease))
    place = min(found, key=lambda place: place.instance_id, default=None)
    if place is None or place.identity is None:
        return False
    place.become(PlaceState.CLAIMING, turn.now)
    _give(turn, lease, place)
    turn.do(ClaimInstance(place.instance_id, place.spec.gpu_uuid, place.identity))
    return True


def _make(turn: Turn, lease: Lease, name: str) -> bool:
    spec = choose(candidates(turn.state, name, keys(turn.state, lease)))
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


def _clear_warm(turn: Turn, lease: Lease, name: str) -> bool:
    """Park a window that only warm instances are in, and have those destroyed. The lease goes on
    waiting, with room of its own.
    """
    if lease.lease_id in turn.state.parkings:
        return True
    warm = {
        place.instance_id: place
        for place in turn.state.instances.values()
        if place.state is PlaceState.IDLE and place.ours
    }
    spec = choose(candidates(turn.state, name, keys(turn.state, lease), frozenset(warm)))
    if spec is None:
        return False
    window = _window(turn.state, spec)
    until = turn.now + turn.rules.park
    turn.state.parkings[lease.lease_id] = Parking(
        lease.lease_id, lease.owner, lease.size, until, {spec.gpu_uuid: window}
    )
    if lease.deadline is not None:
        lease.deadline = max(lease.deadline, until)
    for place in warm.values():
        if place.spec.gpu_uuid == spec.gpu_uuid and _window(turn.state, place.spec) & window:
            turn.destroy(place)
    return True


def _window(state: State, spec: Spec) -> int:
    profile = state.gpus[spec.gpu_uuid].gpu.geometry.by_id.get(spec.profile_id)
    return profile.window(spec.start) if profile and spec.start is not None else -1


def park(turn: Turn, parking: Parking, owner: int, old: Place) -> bool:
    """Fill ``parking`` with room for its size, ``old`` counted free, and with the old room."""
    mine = frozenset({parking.key})
    for name in wanted(turn.state, turn.rules, parking.size):
        existing = next(idle(turn.state, name, owner, mine), None)
        if existing is not None:
            parking.instances = (existing.instance_id, old.instance_id)
            _keep(turn.state, parking, old.spec)
            return True
        spec = choose(candidates(turn.state, name, mine, frozenset({old.instance_id})))
        if spec is not None:
            parking.instances = (old.instance_id,)
            _keep(turn.state, parking, spec)
            _keep(turn.state, parking, old.spec)
            return True
    return False


def _keep(state: State, parking: Parking, spec: Spec) -> None:
    window = _window(state, spec)
    if window > 0:
        parking.masks[spec.gpu_uuid] = parking.masks.get(spec.gpu_uuid, 0) | window
