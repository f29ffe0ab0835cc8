"""Would this mix of slices fit? Tried on a copy of the ledger, so that the answer is what the
ledger would do: the same line, the same order, the same places.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum

import msgspec

from jupyter_mig.core import quotas, supply
from jupyter_mig.core.events import Ask, SlicesRequested
from jupyter_mig.core.leases import EndReason, Holder, Lease
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.quotas import Held
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import PlaceState, State

_NOBODY = Holder("0:0")
_NO_KEYS: frozenset[str] = frozenset()


class Shortage(Enum):
    """Why there is no place for a size."""

    IN_USE = "every instance of it is in use"
    IN_LINE = "others have waited longer for what it needs"
    LIMIT = "a GPU has only so many of it, or of its media engines"
    SCATTERED = "enough memory slices are free, but not side by side where it may start"
    FULL = "no GPU has enough free memory slices"


class Trial(msgspec.Struct, frozen=True):
    """What came of trying. ``leases`` are those of the mix, in its order: with an instance in
    ``state`` if there is room, waiting if not, ended if this node has no such size.
    """

    state: State
    leases: tuple[Lease, ...]

    @property
    def left_over(self) -> tuple[Lease, ...]:
        """Those without a place."""
        return tuple(lease for lease in self.leases if lease.instance_id is None)


def now(
    state: State,
    rules: Rules,
    mix: Sequence[str],
    owner: int,
    gpu_uuids: Collection[str],
    *,
    limits: Limits | None = None,
) -> Trial:
    """Ask for the mix as things are, on those GPUs alone, within the owner's limits. Warm instances
    make way.
    """
    copy = _copy(state, gpu_uuids)
    limits = _left(limits, quotas.held(state, owner), quotas.held(copy, owner))
    for place in list(copy.instances.values()):
        if place.ours and place.state is PlaceState.IDLE:
            del copy.instances[place.instance_id]
    return _try(copy, rules, mix, owner, limits)


def _left(limits: Limits | None, has: Held, here: Held) -> Limits | None:
    """What is left of limits on a part of the node, to one who holds ``has``, of it ``here``."""
    if limits is None:
        return None
    slices, share = limits.slices, limits.share
    return msgspec.structs.replace(
        limits,
        slices=None if slices is None else max(slices - has.slices + here.slices, 0),
        share=None if share is None else max(share - has.share + here.share, 0.0),
    )


def empty(
    state: State,
    rules: Rules,
    mix: Sequence[str],
    owner: int,
    gpu_uuids: Collection[str],
    *,
    limits: Limits | None = None,
) -> Trial:
    """Ask for the mix as if nobody held anything or waited: what we made is gone, what an
    administrator made is free.
    """
    copy = _copy(state, gpu_uuids)
    copy.leases, copy.parkings = {}, {}
    for place in list(copy.instances.values()):
        if place.ours:
            del copy.instances[place.instance_id]
        elif place.state is not PlaceState.OUTSIDE:
            place.become(PlaceState.IDLE, copy.now)
            place.lease_id, place.busy = None, False
    return _try(copy, rules, mix, owner, limits)


def exceeds(trial: Trial, rules: Rules, lease: Lease) -> bool:
    """Whether there is no place for one of the mix because of its owner's limits, whatever else."""
    return lease.reason is EndReason.NOT_ALLOWED or quotas.exceeded(trial.state, rules, lease)


def shortage(state: State, rules: Rules, size: str) -> Shortage:
    """Why nobody in ``state`` can have another of that size."""
    names = supply.wanted(state, rules, size)
    found = [one for name in names for one in supply.candidates(state, name, _NO_KEYS)]
    if not found:
        return Shortage.IN_USE
    if any(one.occupancy.room(one.profile) for one in found):
        return Shortage.IN_LINE
    if any(
        not one.occupancy.mask & one.profile.window(start)
        for one in found
        for start in one.profile.starts
    ):
        return Shortage.LIMIT
    if any(
        one.occupancy.geometry.units - one.occupancy.slices_in_use >= one.profile.width
        for one in found
    ):
        return Shortage.SCATTERED
    return Shortage.FULL


def _patient(limits: Limits | None) -> Limits | None:
    """The same, however long one waits."""
    return None if limits is None else msgspec.structs.replace(limits, wait_seconds=None)


def _copy(state: State, gpu_uuids: Collection[str]) -> State:
    """The state, of which only some GPUs are left."""
    copy = msgspec.json.decode(msgspec.json.encode(state), type=State)
    copy.gpus = {uuid: gpu for uuid, gpu in copy.gpus.items() if uuid in gpu_uuids}
    copy.instances = {
        key: place for key, place in copy.instances.items() if place.spec.gpu_uuid in gpu_uuids
    }
    copy.leases = {
        key: lease
        for key, lease in copy.leases.items()
        if lease.instance_id is None or lease.instance_id in copy.instances
    }
    for parking in copy.parkings.values():
        parking.masks = {uuid: mask for uuid, mask in parking.masks.items() if uuid in gpu_uuids}
    return copy


def _try(
    state: State, rules: Rules, mix: Sequence[str], owner: int, limits: Limits | None
) -> Trial:
    # No broker gives out such ids.
    asks = tuple(
        Ask(
            *(f"plan {number}", f"\0plan {number}", owner, _NOBODY, size),
            patience_seconds=None,
            limits=_patient(limits),
        )
        for number, size in enumerate(mix)
    )
    ledger = Ledger(rules, state)
    ledger.handle(SlicesRequested(asks), state.now)
    leases = tuple(state.leases.get(ask.lease_id) or state.ended[ask.lease_id] for ask in asks)
    return Trial(state, leases)
