"""What an administrator's rule leaves of what a node offers, for an owner whom it means. Reading
only.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from jupyter_mig.core import queries, quotas, supply
from jupyter_mig.core.leases import USABLE
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.queries import SizeOffer
from jupyter_mig.core.quotas import NOTHING_HELD, Held
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import State


class Allowed(msgspec.Struct, frozen=True):
    """One size of the node: ``free`` more of it could start now, for its owner.

    ``never``: his limits do not allow it, even if he held nothing. ``over_quota``: he must give
    something back first. ``instead_of`` are the leases of his in place of which he may have it
    all the same.
    """

    offer: SizeOffer
    free: int
    never: bool = False
    over_quota: bool = False
    instead_of: tuple[str, ...] = ()


def sizes_for(state: State, rules: Rules, owner: int, limits: Limits | None) -> list[Allowed]:
    """Every size that this node has, in reading order, as ``limits`` leave it to ``owner``."""
    offers = queries.sizes_offered(state, owner)
    if limits is None:
        return [Allowed(offer, offer.free) for offer in offers]
    whose = _Whose(
        limits,
        supply.allowed(state, rules, limits.sizes),
        quotas.held(state, owner),
        {
            lease.lease_id: quotas.held(state, owner, without=lease.lease_id)
            for lease in state.leases.values()
            if lease.owner == owner and lease.state in USABLE
        },
    )
    return [_allowed(state, offer, whose) for offer in offers]


def names_for(state: State, rules: Rules, owner: int, limits: Limits | None) -> list[str]:
    """The sizes that ``limits`` allow at all."""
    return [each.offer.name for each in sizes_for(state, rules, owner, limits) if not each.never]


class _Whose(NamedTuple):
    """An owner's limits, what of the node's sizes they name, what he holds, and what besides each
    of his leases.
    """

    limits: Limits
    names: frozenset[str]
    has: Held
    besides: dict[str, Held]


def _allowed(state: State, offer: SizeOffer, whose: _Whose) -> Allowed:
    def more(besides: Held, most: int = 1) -> int:
        return quotas.more(state, whose.limits, offer.name, besides, most)

    if offer.name not in whose.names or not more(NOTHING_HELD):
        return Allowed(offer, 0, never=True)
    if more(whose.has):
        return Allowed(offer, more(whose.has, offer.free))
    replaceable = tuple(lease_id for lease_id, rest in whose.besides.items() if more(rest))
    return Allowed(offer, 0, over_quota=True, instead_of=replaceable)
