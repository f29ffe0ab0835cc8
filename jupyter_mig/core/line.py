"""The queue and how it is served.

Rules of service, in order:

1. Requests are tried in an order that is fair between owners (:mod:`.fairness`); the first that
   fits and is allowed is served first. One that its owner's limits do not allow now keeps nobody.
2. Others may pass a blocked request for ``rules.overtake`` seconds; after that the GPUs and the
   existing instances it could use are kept for it, so that nothing starves and nobody waits for
   room that could not help. Room parked for a request is its own.
3. A request takes, of the profiles that satisfy it, the smallest for which there is room: an
   existing instance (warm or static) before a new one, a new one before clearing warm ones away.
4. Requests made together are planned together, once, when their turn comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from jupyter_mig.core import batches, fairness, quotas
from jupyter_mig.core.actions import ClaimInstance, CreateInstance
from jupyter_mig.core.geometry import Spec
from jupyter_mig.core.leases import Lease, LeaseState, Trigger
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.quotas import Held
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import Parking, Place, PlaceState, State
from jupyter_mig.core.supply import NOTHING, candidates, different, first_idle, keys, wanted
from jupyter_mig.core.turn import Turn

_Wish = tuple[str, int | None, Limits | None]


def serve(turn: Turn) -> None:
    """Give room to whoever can have it; again as long as somebody was given some, for that may
    change who is next, and an elder may fit where room was kept for one who found other room.
    """
    while _is_worthwhile(turn) and _Round(turn).serve():
        pass


def _is_worthwhile(turn: Turn) -> bool:
    """Whether there is room for a size that is asked for, and its asker may have it. For a long
    line there mostly is not, and then its order is all the same.
    """
    state, line = turn.state, turn.state.index.waiting.values()
    if len(line) < 2 or state.parkings:
        return bool(line)
    roomy = {size for size in {lease.size for lease in line} if _is_room(turn, size)}
    return quotas.anybody_may(state, turn.rules, (one for one in line if one.size in roomy))


def _is_room(turn: Turn, size: str) -> bool:
    """For anybody, if need be by clearing warm instances away."""
    names = wanted(turn.state, turn.rules, size)
    return any(
        place.state is PlaceState.IDLE and (place.ours or place.profile_name in names)
        for place in turn.state.apart()
    ) or any(any(different(turn.state, name, NOTHING)) for name in names)


class _Round:
    """Everybody is tried once, but nobody who wants what another could not have: room only shrinks
    meanwhile.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._closed = NOTHING
        self._given = False
        self._in_vain: set[_Wish] = set()
        self._waited_for: set[_Wish] = set()

    def serve(self) -> bool:
        """Try them in order; whether anybody was given an instance."""
        turn = self._turn
        for lease in fairness.in_line(turn.state, turn.rules):
            if turn.batch and lease is turn.batch[0]:
                _plan_batch(turn, self._closed)
            self._try(lease)
        return self._given

    def _try(self, lease: Lease) -> None:
        turn, wish = self._turn, self._wish(lease)
        privileged = not keys(turn.state, lease).isdisjoint(turn.state.parkings)
        if wish not in self._in_vain or privileged:
            if quotas.exceeded(turn.state, turn.rules, lease):
                self._waited_for.add(wish)  # in vain: it is not room that they lack
            elif _place(turn, lease, NOTHING if privileged else self._closed):
                self._given = self._given or lease.state is not LeaseState.WAITING
                return
            self._in_vain.add(wish)
        if turn.now - lease.requested_at >= turn.rules.overtake and wish not in self._waited_for:
            self._waited_for.add(wish)
            self._closed |= _of_use(turn.state, turn.rules, lease)

    @cached_property
    def _warm_owners(self) -> set[int | None]:
        return {place.warm_owner for place in self._turn.state.apart()}

    def _wish(self, lease: Lease) -> _Wish:
        """Those with the same wish could have the same."""
        whose = lease.owner in self._warm_owners or quotas.is_limited(lease.limits)
        return lease.size, lease.owner if whose else None, lease.limits


def _plan_batch(turn: Turn, closed: frozenset[str]) -> None:
    batch, turn.batch = turn.batch, []
    if len(batch) > 1 and not turn.choices:
        batches.plan(turn, batch, closed)


def _of_use(state: State, rules: Rules, lease: Lease) -> frozenset[str]:
    """What the request could use: names of existing instances, and GPUs."""
    shut = _shut(state, lease, quotas.wanted(state, rules, lease), NOTHING)
    gpus = (
        uuid
        for uuid, gpu in state.gpus.items()
        for name, closed in shut.items()
        if gpu.creates and name in gpu.gpu.geometry.by_name and uuid not in closed
    )
    return frozenset((*shut, *gpus))


def _shut(
    state: State, lease: Lease, names: Iterable[str], closed: frozenset[str]
) -> dict[str, frozenset[str]]:
    """By profile, what is closed to the request: also GPUs of which it would be too much."""
    besides = quotas.beside(state, lease)
    return {name: closed | quotas.too_much(state, lease.limits, name, besides) for name in names}


def _place(turn: Turn, lease: Lease, closed: frozenset[str]) -> bool:
    names = quotas.wanted(turn.state, turn.rules, lease)
    shut = _shut(turn.state, lease, names, closed)
    return any(
        _take_idle(turn, lease, name, shut[name]) or _make(turn, lease, name, shut[name])
        for name in names
    ) or any(_clear_warm(turn, lease, name, shut[name]) for name in names)


def _take_idle(turn: Turn, lease: Lease, name: str, closed: frozenset[str]) -> bool:
    place = first_idle(turn.state, name, lease.owner, keys(turn.state, lease), closed)
    if place is None or place.identity is None:
        return False
    turn.become(place, PlaceState.CLAIMING)
    _give(turn, lease, place)
    turn.do(ClaimInstance(place.instance_id, place.spec.gpu_uuid, place.identity, lease.owner))
    return True


def _make(turn: Turn, lease: Lease, name: str, closed: frozenset[str]) -> bool:
    possible = candidates if turn.choices else different  # what was decided may be anywhere
    mine = keys(turn.state, lease)
    spec = turn.choices.take(lease.lease_id, possible(turn.state, name, mine, closed=closed))
    if spec is None:
        return False
    place = planned(turn, spec)
    _give(turn, lease, place)
    turn.do(CreateInstance(place.instance_id, spec, lease.owner))
    return True


def planned(turn: Turn, spec: Spec, *, pooled: bool = False) -> Place:
    """An instance that is to be made there."""
    profile = turn.state.gpus[spec.gpu_uuid].gpu.geometry.by_id[spec.profile_id]
    place = Place(
        instance_id=f"i{turn.state.count()}",
        spec=spec,
        profile_name=profile.name,
        memory_bytes=profile.memory_bytes,
        state=PlaceState.CREATING,
        ours=True,
        since=turn.now,
        pooled=pooled,
    )
    turn.state.add_place(place)
    return place


def _give(turn: Turn, lease: Lease, place: Place) -> None:
    place.lease_id, lease.instance_id = lease.lease_id, place.instance_id
    turn.move(lease, Trigger.ROOM)
    turn.state.parkings.pop(lease.lease_id, None)
    turn.state.served[lease.owner] = turn.now


def _clear_warm(turn: Turn, lease: Lease, name: str, closed: frozenset[str]) -> bool:
    """Park a window that only warm instances are in, and have those destroyed. The lease goes on
    waiting, with room of its own.
    """
    if lease.lease_id in turn.state.parkings:
        return True
    mine = keys(turn.state, lease)
    away = _warm(turn.state)
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


def _warm(state: State) -> frozenset[str]:
    return frozenset(place.instance_id for place in state.apart() if _is_warm(place))


def _is_warm(place: Place) -> bool:
    return place.state is PlaceState.IDLE and place.ours


def _clear(turn: Turn, spec: Spec) -> None:
    """Have the warm instances destroyed that are in the way of ``spec``."""
    geometry = turn.state.gpus[spec.gpu_uuid].gpu.geometry
    window = geometry.window(spec) or 0
    for place in turn.state.on_gpu(spec.gpu_uuid):
        if _is_warm(place) and (geometry.window(place.spec) or 0) & window:
            turn.destroy(place)


def park(turn: Turn, parking: Parking, old: Place, wish: Lease, besides: Held) -> bool:
    """Fill ``parking`` with room for what ``wish`` asks for, ``old`` counted free, and with the old
    room. ``besides`` is what the owner holds without either.
    """
    names = quotas.wanted(turn.state, turn.rules, wish)
    shut = {name: quotas.too_much(turn.state, wish.limits, name, besides) for name in names}
    spec = _room_beside(turn, parking, old, shut)
    if spec is None:
        return False
    parking.instances += (old.instance_id,)
    _keep(turn.state, parking, spec)
    _keep(turn.state, parking, old.spec)
    return True


def _room_beside(
    turn: Turn, parking: Parking, old: Place, shut: Mapping[str, frozenset[str]]
) -> Spec | None:
    """Where one of the profiles in ``shut`` can be had: as for a request, an existing instance
    before a new one, a new one before clearing warm ones away.
    """
    mine, away = frozenset({parking.key}), frozenset({old.instance_id})
    for name, closed in shut.items():
        existing = first_idle(turn.state, name, parking.owner, mine, closed)
        if existing is not None:
            parking.instances = (existing.instance_id,)
            return existing.spec
        spec = turn.choices.take(parking.key, candidates(turn.state, name, mine, away, closed))
        if spec is not None:
            return spec
    for name, closed in shut.items():
        cleared = candidates(turn.state, name, mine, away.union(_warm(turn.state)), closed)
        spec = turn.choices.take(parking.key, cleared)
        if spec is not None:
            _clear(turn, spec)
            return spec
    return None


def _keep(state: State, parking: Parking, spec: Spec) -> None:
    window = state.gpus[spec.gpu_uuid].gpu.geometry.window(spec) or 0
    parking.masks[spec.gpu_uuid] = parking.masks.get(spec.gpu_uuid, 0) | window
