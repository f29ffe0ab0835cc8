"""The order of the line, fair between owners.

1. Owners who have waited for ``rules.overtake`` seconds without being given a slice or giving one
   back: each with the first of his requests, the longest wait first. So nobody starves.
2. The other requests, by what their owner would hold once all his earlier ones were granted: the
   least first; of equals, whose owner has been given nothing for the longest. So who asks a
   thousand times stands behind another's first request from his second slice on.
3. Requests for which their owner would have to give something back. They keep nobody.

For a single owner this is the order in which he asked.
"""

from __future__ import annotations

from jupyter_mig.core import quotas
from jupyter_mig.core.leases import Lease
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import State

_OVERDUE, _ORDINARY, _LAST = range(3)
_DIGITS = 9
"""Shares are compared so exactly: thirds and eighths do not add up."""

Rank = tuple[int, float, float, int]


def in_line(state: State, rules: Rules) -> list[Lease]:
    """Waiting leases in the order in which they are tried."""
    waiting = state.waiting()
    if len(waiting) < 2:  # by far the most often
        return waiting
    ranks = _Ranks(state, rules)
    ranked = {ranks.next(lease): lease for lease in waiting}
    return [ranked[rank] for rank in sorted(ranked)]


class _Ranks:
    """Those of waiting leases, to be asked for in the order in which these asked."""

    def __init__(self, state: State, rules: Rules) -> None:
        self._state = state
        self._rules = rules
        self._held = quotas.everybodys(state)
        self._shares: dict[tuple[str, Limits | None], float] = {}
        self._firsts: set[int] = set()

    def next(self, lease: Lease) -> Rank:
        """As if all before it had been granted that their owners may have."""
        owner, limits = lease.owner, lease.limits
        has = self._held.get(owner, quotas.NOTHING_HELD)
        then = has.plus(self._share(lease))
        if limits is not None and not then.is_within(limits):
            return _LAST, 0.0, 0.0, lease.order
        self._held[owner] = then
        since = max(lease.requested_at, self._state.served.get(owner, 0.0))
        overdue = self._state.now - since >= self._rules.overtake
        if overdue and owner not in self._firsts:
            self._firsts.add(owner)
            return _OVERDUE, since, 0.0, lease.order
        self._firsts.add(owner)
        return _ORDINARY, round(has.share, _DIGITS), since, lease.order

    def _share(self, lease: Lease) -> float:
        wish = (lease.size, lease.limits)
        if wish not in self._shares:
            self._shares[wish] = quotas.least(self._state, self._rules, lease)
        return self._shares[wish]
