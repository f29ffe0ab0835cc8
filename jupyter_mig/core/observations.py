"""Events that tell what is really there: observations, failures to observe, a new broker.

Only a full, successful observation may end a lease. Observations of one GPU come in order with
the driver's answers about it, so whatever the driver had finished is known when one arrives.
"""

from __future__ import annotations

from jupyter_mig.core.actions import ClaimInstance, LockInstance
from jupyter_mig.core.events import BrokerStarted, GpuFailed, GpuObserved
from jupyter_mig.core.geometry import Instance
from jupyter_mig.core.instances import back_in_line, ready, try_again
from jupyter_mig.core.leases import EndReason, Trigger
from jupyter_mig.core.state import GpuState, Place, PlaceState, State
from jupyter_mig.core.turn import Turn

MIG_IS_OFF = "MIG mode is off"
DRAINED = "an administrator drains it"
CLAIMED = "managed by others now: "
"""So begins why a GPU is drained if it was not an administrator who wanted that."""

_IN_FLIGHT = frozenset({PlaceState.CREATING, PlaceState.CLAIMING, PlaceState.DESTROYING})


def gpu_observed(turn: Turn, event: GpuObserved) -> None:
    """Take over what was seen: match it with what we know, adopt, forget, resolve."""
    uuid = event.gpu.uuid
    turn.state.see_gpu(GpuState(event.gpu, event.creates, _problem(turn.state, event)))
    unseen = list(event.instances)
    for place in turn.state.on_gpu(uuid):
        seen = next((found for found in unseen if _same(place, found)), None)
        if seen is not None:
            unseen.remove(seen)
            _reconsider(turn, place, on_offer=_on_offer(event, seen, adopted=place.adopted))
        _compare(turn, place, seen)
    for found in unseen:
        _discover(turn, found, on_offer=_on_offer(event, found))


def _on_offer(event: GpuObserved, found: Instance, *, adopted: bool = False) -> bool:
    """Whether an instance that somebody else made may be handed out: where we create, only those
    that an administrator adopted.
    """
    may = adopted or (event.offers_unknown and not event.creates)
    return may and found.identity.whole and found.identity.mig_uuid not in event.withheld


def _reconsider(turn: Turn, place: Place, *, on_offer: bool) -> None:
    """Whether we may use an instance can change; one that is held stays with its lease."""
    if place.ours:
        return
    if place.state is PlaceState.IDLE and not on_offer:
        turn.become(place, PlaceState.OUTSIDE)
    elif place.state is PlaceState.OUTSIDE and on_offer:
        turn.become(place, PlaceState.IDLE)


def _problem(state: State, event: GpuObserved) -> str:
    """Why nothing can be started there. A GPU without MIG may be on offer as a whole."""
    if event.gpu.uuid in state.drained:
        return drained(state.drained[event.gpu.uuid])
    if event.problem or event.gpu.mig_enabled or event.instances:
        return event.problem
    return MIG_IS_OFF


def _same(place: Place, found: Instance) -> bool:
    """Whether a known instance is the one seen. GI ids and UUIDs are reused, so all that is known
    of both must agree. One of ours may have lost its compute instance; one of somebody else's is
    another one to us when that came or went.
    """
    if place.spec.profile_id != found.spec.profile_id:
        return False
    starts = {place.spec.start, found.spec.start}
    if None not in starts and len(starts) == 2:
        return False
    known, seen = place.identity, found.identity
    if known is None or (place.ours and not (known.whole and seen.whole)):
        return known is None or known.gi_id == seen.gi_id
    return known == seen


def drained(why: str) -> str:
    """The problem of a GPU on which nothing new is to be started."""
    if why.startswith(CLAIMED):
        return why
    return f"{DRAINED}: {why}" if why else DRAINED


def _compare(turn: Turn, place: Place, seen: Instance | None) -> None:
    if place.state in _IN_FLIGHT and place.retry_at is None:
        return  # the driver's answer will tell
    if place.state is PlaceState.UNRESOLVED:
        _resolve(turn, place, seen)
    elif seen is None:
        turn.lose(place)
    elif place.state in (PlaceState.HELD, PlaceState.IDLE) and not seen.identity.whole:
        _broken(turn, place)
    else:
        place.busy = place.state is PlaceState.IDLE and bool(seen.occupants)


def _broken(turn: Turn, place: Place) -> None:
    """Somebody destroyed the compute instance of one of ours: CUDA cannot use it any more."""
    lease = turn.state.lease_of(place)
    turn.destroy(place)
    if lease is not None:
        turn.end(lease, Trigger.LOST, EndReason.LOST)


def _discover(turn: Turn, found: Instance, *, on_offer: bool) -> None:
    """An instance we did not know: on offer, or somebody else's and not to be touched."""
    if _overlaps_in_flight(turn, found):
        gpu = turn.state.gpus[found.spec.gpu_uuid]
        gpu.trusted, gpu.observe_at = False, turn.now + turn.rules.retry_first
        return
    place = Place(
        instance_id=f"i{turn.state.count()}",
        spec=found.spec,
        profile_name=found.profile_name,
        memory_bytes=found.memory_bytes,
        state=PlaceState.IDLE if on_offer else PlaceState.OUTSIDE,
        ours=False,
        since=turn.now,
        identity=found.identity,
        busy=bool(found.occupants),
    )
    turn.state.add_place(place)


def _overlaps_in_flight(turn: Turn, found: Instance) -> bool:
    """Somebody made an instance where ours is being made or destroyed, or in its stead. The
    driver's answer about ours will settle it; until then the window is counted once and the GPU
    looked at again.
    """
    geometry = turn.state.gpus[found.spec.gpu_uuid].gpu.geometry
    theirs = geometry.window(found.spec) or 0
    return any(
        (geometry.window(place.spec) or 0) & theirs
        or (place.identity is not None and place.identity.gi_id == found.identity.gi_id)
        for place in turn.state.on_gpu(found.spec.gpu_uuid)
        if place.state in _IN_FLIGHT
    )


def _resolve(turn: Turn, place: Place, seen: Instance | None) -> None:
    """Find out how a call ended that was under way when the last broker stopped."""
    if place.was is PlaceState.DESTROYING:
        _resolve_destroying(turn, place, seen)
    elif place.was is PlaceState.CREATING:
        _resolve_creating(turn, place, seen)
    else:
        _resolve_claiming(turn, place, seen)


def _resolve_destroying(turn: Turn, place: Place, seen: Instance | None) -> None:
    if seen is None:
        turn.forget(place)
    else:
        place.identity = seen.identity
        turn.destroy(place)


def _resolve_creating(turn: Turn, place: Place, seen: Instance | None) -> None:
    lease = turn.state.lease_of(place)
    if seen is None:
        turn.forget(place)
        if lease is not None:
            why = "the broker stopped while it was being made"
            try_again(turn, lease, why, hopeless=False)
        return
    place.identity = seen.identity
    if seen.identity.whole:
        _lock(turn, place)
        ready(turn, place)
        return
    turn.destroy(place)
    if lease is not None:
        extra = turn.rules.failed_patience
        back_in_line(turn, lease, "half made", hopeless=False, extra=extra)


def _resolve_claiming(turn: Turn, place: Place, seen: Instance | None) -> None:
    if seen is None:
        lease = turn.state.tenant(place)
        turn.forget(place)
        back_in_line(turn, lease, "gone", hopeless=False, extra=turn.rules.failed_patience)
    elif place.identity is not None:
        turn.become(place, PlaceState.CLAIMING)
        owner = turn.state.tenant(place).owner
        turn.do(ClaimInstance(place.instance_id, place.spec.gpu_uuid, place.identity, owner))


def gpu_failed(turn: Turn, event: GpuFailed) -> None:
    """A GPU does not answer: nothing new is started there, and whatever is held stays held. Those
    who wait for something that was being made there when a broker stopped need not wait for it.
    """
    gpu = turn.state.gpus.get(event.gpu_uuid)
    if gpu is None:
        return
    gpu.failures += 1
    gpu.problem = event.error
    gpu.observe_at = turn.now + turn.rules.backoff(gpu.failures)
    for place in turn.state.on_gpu(event.gpu_uuid):
        if place.state is PlaceState.UNRESOLVED and place.lease_id is not None:
            _give_up(turn, place, event.error)


def _give_up(turn: Turn, place: Place, error: str) -> None:
    """The request looks for room elsewhere, or waits in line as long as it is willing to."""
    lease = turn.state.tenant(place)
    if place.ours:
        turn.abandon(place)
    else:  # it was being claimed, and no broker has a lock on it now
        place.lease_id = None
        turn.become(place, PlaceState.IDLE)
        turn.hand_back(place)
    try_again(turn, lease, error, hopeless=False)


def rebooted(state: State, event: BrokerStarted) -> bool:
    """Whether the machine was rebooted since the last broker."""
    return state.boot_id not in ("", event.boot_id)


def broker_started(turn: Turn, event: BrokerStarted) -> None:
    """A broker took over: what was under way is unknown, and everybody gets a moment to return."""
    reboot = rebooted(turn.state, event)
    turn.state.boot_id = event.boot_id
    if reboot:
        _start_over(turn)
        return
    for gpu in turn.state.gpus.values():
        gpu.trusted = False
    for place in turn.state.instances.values():
        _interrupted(turn, place)
    for lease in turn.state.leases.values():
        if lease.deadline is not None:
            lease.deadline = max(lease.deadline + turn.passed, turn.now + turn.rules.return_grace)


def _interrupted(turn: Turn, place: Place) -> None:
    if place.state in _IN_FLIGHT:
        doing = place.state
        turn.become(place, PlaceState.UNRESOLVED)
        place.was = doing
    elif place.asked or (place.state is PlaceState.CONDEMNED and place.retry_at is None):
        place.asked, place.retry_at = False, turn.now
    if place.state is PlaceState.HELD or (place.pooled and place.state is PlaceState.IDLE):
        _lock(turn, place)
    elif place.state is PlaceState.IDLE and not place.ours:
        turn.hand_back(place)  # it may have been on its way back


def _lock(turn: Turn, place: Place) -> None:
    """Locks end with the process of a broker: take this one again."""
    if place.identity is not None:
        turn.do(LockInstance(place.instance_id, place.spec.gpu_uuid, place.identity))


def _start_over(turn: Turn) -> None:
    """Neither processes nor instances outlive a reboot."""
    for lease in list(turn.state.leases.values()):
        turn.end(lease, Trigger.REBOOT, EndReason.REBOOTED)
    turn.state.remove_gpus()
    turn.state.remove_places()
    turn.state.parkings.clear()
    turn.state.pool_failures, turn.state.pools_at = 0, None
