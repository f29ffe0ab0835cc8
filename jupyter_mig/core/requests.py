"""Events that people and processes cause: asking, binding, renewing, leaving."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jupyter_mig.core import line, quotas, supply
from jupyter_mig.core.actions import Grant, Park, RefuseResize
from jupyter_mig.core.events import (
    Ask,
    HolderLeft,
    LeaseBound,
    LeaseReleased,
    LeaseRenewed,
    ResizeRequested,
    SlicesRequested,
)
from jupyter_mig.core.leases import USABLE, EndReason, Lease, LeaseState, Trigger
from jupyter_mig.core.state import Parking
from jupyter_mig.core.turn import Turn

_TAKEN_BACK = frozenset({LeaseState.DOOMED, LeaseState.DRAINING})


def slices_requested(turn: Turn, event: SlicesRequested) -> None:
    """Put every ask in line, the largest first, so that a batch is planned well."""
    for ask in _largest_first(turn, event.asks):
        known = _same_request(turn, ask)
        if known is not None:
            _adopt(turn, known, ask)
            continue
        lease = _new_lease(turn, ask)
        turn.state.add_lease(lease)
        if not supply.offered(turn.state, turn.rules, ask.size):
            turn.end(lease, Trigger.END, EndReason.UNKNOWN_SIZE)
        elif quotas.never(turn.state, turn.rules, lease):
            turn.end(lease, Trigger.END, EndReason.NOT_ALLOWED)
        elif not ask.instead_of:  # that one has room of its own
            turn.batch.append(lease)


def _largest_first(turn: Turn, asks: tuple[Ask, ...]) -> Sequence[Ask]:
    if len(asks) < 2:
        return asks
    return sorted(asks, key=lambda ask: -supply.width(turn.state, turn.rules, ask.size))


def _same_request(turn: Turn, ask: Ask) -> Lease | None:
    """The live lease that the same owner already has for the same kernel."""
    known = turn.state.index.asked.get((ask.owner, ask.kernel_id), {})
    return next((lease for lease in known.values() if lease.state not in _TAKEN_BACK), None)


def _adopt(turn: Turn, lease: Lease, ask: Ask) -> None:
    """Asked again for the same kernel: the lease now hangs on the process that asks."""
    if lease.state in USABLE:
        _renew(turn, lease, ask)
        turn.do(Grant(lease.lease_id))
    else:
        lease.requester = ask.requester


def _new_lease(turn: Turn, ask: Ask) -> Lease:
    patience = ask.limits.patience(ask.patience_seconds) if ask.limits else ask.patience_seconds
    patience = None if patience is None else max(float(patience), 0.0)
    return Lease(
        lease_id=ask.lease_id,
        kernel_id=ask.kernel_id,
        owner=ask.owner,
        requester=ask.requester,
        size=ask.size,
        label=ask.label,
        order=turn.state.count(),
        requested_at=turn.now,
        patience_seconds=patience,
        instead_of=ask.instead_of,
        since=turn.now,
        deadline=None if patience is None else turn.now + patience,
        limits=ask.limits,
    )


def lease_bound(turn: Turn, event: LeaseBound) -> None:
    """Tie the lease to its kernel process; a resize that led here is over."""
    lease = turn.state.leases.get(event.lease_id)
    if lease is None or lease.state not in USABLE:
        return
    turn.move(lease, Trigger.BIND)
    lease.kernel, lease.kernel_pid = event.kernel, event.kernel_pid
    for key in supply.keys(turn.state, lease):
        turn.state.parkings.pop(key, None)


def lease_renewed(turn: Turn, event: LeaseRenewed) -> None:
    """The kernel will be started again under the same lease, perhaps by another server."""
    lease = turn.state.leases.get(event.lease_id)
    if lease is not None and lease.state in USABLE:
        _renew(turn, lease, event)


def _renew(turn: Turn, lease: Lease, by: LeaseRenewed | Ask) -> None:
    lease.requester, lease.requester_left = by.requester, False
    turn.move(lease, Trigger.RENEW)
    if lease.state is LeaseState.GRANTED:
        lease.kernel = lease.kernel_pid = None
        lease.deadline = turn.now + turn.rules.bind_grace


def lease_released(turn: Turn, event: LeaseReleased) -> None:
    """The owner is done, or takes the request back. Saying so twice is harmless."""
    lease = turn.state.leases.get(event.lease_id)
    if lease is not None and lease.state not in _TAKEN_BACK:
        usable = lease.state in USABLE
        turn.wish_over(lease, EndReason.RELEASED if usable else EndReason.CANCELLED)


def holder_left(turn: Turn, event: HolderLeft) -> None:
    """A process is gone: leases it asked for or computes with lose what they hang on."""
    for lease in list(turn.state.leases.values()):
        if lease.requester == event.holder:
            lease.requester_left = True
        if lease.kernel == event.holder:
            lease.kernel = lease.kernel_pid = None
            _kernel_left(turn, lease)
        elif lease.requester == event.holder:
            _requester_left(turn, lease)


def _kernel_left(turn: Turn, lease: Lease) -> None:
    if lease.state is LeaseState.DRAINING:
        turn.observe_occupants(turn.state.instances[lease.instance_id or ""])
    if lease.state is not LeaseState.BOUND:
        return
    if lease.requester_left:
        turn.wish_over(lease, EndReason.HOLDER_LEFT)
        return
    turn.move(lease, Trigger.KERNEL_LEFT)
    lease.deadline = turn.now + turn.rules.rebind_grace


def _requester_left(turn: Turn, lease: Lease) -> None:
    """A bound lease stays: its kernel lives, and only that counts."""
    if lease.state not in _TAKEN_BACK | {LeaseState.BOUND}:
        turn.wish_over(lease, EndReason.HOLDER_LEFT)


def resize_requested(turn: Turn, event: ResizeRequested) -> None:
    """Keep room for the new size, counting the old window free, and the old window for going
    back; or refuse before anything is stopped.
    """
    lease = turn.state.leases.get(event.lease_id)
    place = turn.state.place_of(lease) if lease and lease.state in USABLE else None
    if lease is None or place is None:
        return
    wish = msgspec.structs.replace(lease, size=event.size, limits=event.limits)
    besides = quotas.held(turn.state, lease.owner, frozenset({lease.lease_id}), lease.lease_id)
    if not _may_become(turn, wish, besides):
        return
    parking = _renewed_parking(turn, lease, event.size)
    if not line.park(turn, parking, place, wish, besides):
        turn.do(RefuseResize(lease.lease_id, event.size))
        return
    turn.state.parkings[lease.lease_id] = parking
    turn.do(Park(lease.lease_id, event.size))


def _may_become(turn: Turn, wish: Lease, besides: quotas.Held) -> bool:
    """Whether the limits allow the other size to one who holds ``besides``; if not, say so."""
    if not supply.offered(turn.state, turn.rules, wish.size) or quotas.allows(
        turn.state, turn.rules, wish, besides
    ):
        return True
    never = quotas.never(turn.state, turn.rules, wish)
    reason = EndReason.NOT_ALLOWED if never else EndReason.OVER_QUOTA
    turn.do(RefuseResize(wish.lease_id, wish.size, reason))
    return False


def _renewed_parking(turn: Turn, lease: Lease, size: str) -> Parking:
    """An empty one in the place of that for an earlier resize, if there is one: asking again and
    again keeps no room for ever.
    """
    earlier = turn.state.parkings.pop(lease.lease_id, None)
    since = earlier.since if earlier and earlier.until > turn.now else None
    since = turn.now if since is None else since
    until = min(turn.now + turn.rules.park, since + turn.rules.park_longest)
    return Parking(lease.lease_id, lease.owner, size, until, since=since)
