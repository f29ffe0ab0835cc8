"""Requests made together: places for all of them at once, if there are any.

One after the other, each in the place that costs least, is good when nobody knows what comes next.
Of a batch it is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from jupyter_mig.core import quotas, supply
from jupyter_mig.core.choices import Choice
from jupyter_mig.core.leases import Lease
from jupyter_mig.core.packing import Bin, pack
from jupyter_mig.core.turn import Turn


def plan(turn: Turn, batch: Sequence[Lease], closed: frozenset[str]) -> None:
    """Decide where each of ``batch`` goes if all of them fit; if not, or if no arrangement is found
    in time, decide nothing. They are the next to be served, in this order.
    """
    to_make = list(_to_make(turn, batch, closed))
    wanted = Counter(name for _, name in to_make)
    places = pack(_bins(turn, wanted, closed), wanted)
    if places is None:
        return
    for lease, name in to_make:
        turn.choices.give(Choice(lease.lease_id, places[name].pop(0)))


def _to_make(
    turn: Turn, batch: Sequence[Lease], closed: frozenset[str]
) -> Iterator[tuple[Lease, str]]:
    """Those for whom there is no existing instance of the smallest profile that will do, and that
    profile.
    """
    taken: set[str] = set()
    for lease in batch:
        name = quotas.wanted(turn.state, turn.rules, lease)[0]
        found = supply.idle(turn.state, name, lease.owner, supply.NOTHING, closed)
        existing = next((one.instance_id for one in found if one.instance_id not in taken), None)
        if existing is None:
            yield lease, name
        else:
            taken.add(existing)


def _bins(turn: Turn, names: Iterable[str], closed: frozenset[str]) -> list[Bin]:
    """The GPUs on which one of these profiles could be made, the fullest first."""
    found = {
        one.gpu_uuid: one
        for name in names
        for one in supply.candidates(turn.state, name, supply.NOTHING, closed=closed)
    }
    order = sorted(found.values(), key=lambda one: (-one.occupancy.slices_in_use, one.gpu_index))
    return [Bin(one.gpu_uuid, one.occupancy) for one in order]
