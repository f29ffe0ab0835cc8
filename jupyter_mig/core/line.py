"""The queue and how it is served.

Rules of service, in order:

1. Requests are tried in the order they were made; the first that fits is served first.
2. Others may pass a blocked request for ``rules.overtake`` seconds; after that the GPUs and the
   existing instances it could use are kept for it, so that nothing starves and nobody waits for
   room that could not help. Room parked for a request is its own.
3. A request takes, of the profiles that satisfy it, the smallest for which there is room: an
   existing instance (warm or static) before a new one, a new one before clearing warm ones away.
4. Requests made together are planned together, once, when their turn comes.
"""

from __future__ import annotations

from jupyter_mig.core import batches
from jupyter_mig.core.actions import ClaimInstance, CreateInstance
from jupyter_mig.core.geometry import Profile, Spec
from jupyter_mig.core.leases import Lease, Trigger
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import Parking, Place, PlaceState, State
from jupyter_mig.core.supply import NOTHING, candidates, idle, keys, wanted
from jupyter_mig.core.turn import Turn


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
    closed = NOTHING
    in_vain: set[tuple[str, int | None]] = set()
    owners = {place.warm_owner for place in turn.state.instances.values()}
    for lease in turn.state.waiting():
        if turn.batch and lease is turn.batch[0]:
            _plan_batch(turn, closed)
        wish = (lease.size, lease.owner if lease.owner in owners else None)
        privileged = not keys(turn.state, lease).isdisjoint(turn.state.parkings)
        if wish in in_vain and not privileged:
            continue
        if not _place(turn, lease, NOTHING if privileged else closed):
            in_vain.add(wish)
            if turn.now - lease.requested_at >= turn.rules.overtake:
                closed |= _of_use(turn.state, turn.rules, lease.size)


def _plan_batch(turn: Turn, closed: frozenset[str]) -> None:
    batch, turn.batch = turn.batch, []
    if len(batch) > 1 and not turn.choices:
        batches.plan(turn, batch, closed)


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
    turn.do(ClaimInstance(place.instance_id, place.spec.gpu_uuid, place.identity, lease.owner))
    return True


def _make(turn: Turn, lease: Lease, name: str, closed: frozenset[str]) -> bool:
    mine = keys(turn.state, lease)
    spec = turn.choices.take(lease.lease_id, candidates(turn.state, name, mine, closed=closed))
    if spec is None:
        return False
    profile = turn.state.gpus[spec.gpu_uuid].gpu.geometry.by_id[spec.profile_id]
    place = _planned(turn, spec, profile)
    _give(turn, lease, place)
    turn.do(CreateInstance(place.instance_id, spec, lease.owner))
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
    away = frozenset(_warm(turn.state))
    spec = turn.choices.take(lease.lease_id, candidates(turn.state, name, mine, away, closed))
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
        spec = turn.choices.take(parking.key, candidates(turn.state, name, mine, away))
        if spec is not None:
            return spec
    for name in names:
        cleared = candidates(turn.state, name, mine, away.union(_warm(turn.state)))
        spec = turn.choices.take(parking.key, cleared)
        if spec is not None:
            _clear(turn, spec)
            return spec
    return None


def _keep(state: State, parking: Parking, spec: Spec) -> None:
    window = state.gpus[spec.gpu_uuid].gpu.geometry.window(spec) or 0
    parking.masks[spec.gpu_uuid] = parking.masks.get(spec.gpu_uuid, 0) | window
