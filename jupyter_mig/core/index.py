"""What is looked up at every event, kept while the state changes instead of being searched for.

It is no part of the state's data: it is made from that when it is first asked for, and
:func:`~jupyter_mig.core.check.check` makes it again and compares.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jupyter_mig.core.geometry import Geometry
from jupyter_mig.core.leases import Lease, LeaseState
from jupyter_mig.core.occupancy import Occupancy

if TYPE_CHECKING:  # those are what the state consists of, and it has an index
    from jupyter_mig.core.state import Place


class Index:
    """``waiting`` are the leases in line by id, ``asked`` those of each kernel (the owner's and the
    kernel's id), ``there`` the instances on each GPU; ``counts`` says how many leases each owner
    has.
    """

    def __init__(self, leases: Iterable[Lease], places: Iterable[Place]) -> None:
        self.waiting: dict[str, Lease] = {}
        self.asked: defaultdict[tuple[int, str], dict[str, Lease]] = defaultdict(dict)
        self.counts: defaultdict[int, int] = defaultdict(int)
        self.there: defaultdict[str, dict[str, Place]] = defaultdict(dict)
        self._taken: dict[str, Occupancy] = {}
        for lease in leases:
            self.add_lease(lease)
        for place in places:
            self.add_place(place)

    def __eq__(self, other: object) -> bool:
        """Whether they say the same."""
        return isinstance(other, Index) and self._said() == other._said()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _said(self) -> tuple[dict[str, Lease], object, object, object]:
        there = {uuid: places for uuid, places in self.there.items() if places}
        return self.waiting, self.asked, self.counts, there

    def add_lease(self, lease: Lease) -> None:
        """Somebody has asked."""
        self.asked[lease.owner, lease.kernel_id][lease.lease_id] = lease
        self.counts[lease.owner] += 1
        self.moved(lease)

    def moved(self, lease: Lease) -> None:
        """A lease is in another state now."""
        if lease.state is LeaseState.WAITING:
            self.waiting[lease.lease_id] = lease
        else:
            self.waiting.pop(lease.lease_id, None)

    def remove_lease(self, lease: Lease) -> None:
        """It is over."""
        self.waiting.pop(lease.lease_id, None)
        same = self.asked[lease.owner, lease.kernel_id]
        del same[lease.lease_id]
        if not same:
            del self.asked[lease.owner, lease.kernel_id]
        self.counts[lease.owner] -= 1
        if not self.counts[lease.owner]:
            del self.counts[lease.owner]

    def add_place(self, place: Place) -> None:
        """There is an instance more."""
        self.there[place.spec.gpu_uuid][place.instance_id] = place
        self._taken.pop(place.spec.gpu_uuid, None)

    def remove_place(self, place: Place) -> None:
        """There is one less."""
        del self.there[place.spec.gpu_uuid][place.instance_id]
        self._taken.pop(place.spec.gpu_uuid, None)

    def taken(self, gpu_uuid: str, geometry: Geometry) -> Occupancy:
        """What instances take on a GPU. To read, never to change."""
        tally = self._taken.get(gpu_uuid)
        if tally is None or tally.geometry is not geometry:
            specs = (place.spec for place in self.there[gpu_uuid].values())
            tally = self._taken[gpu_uuid] = Occupancy(geometry, specs)
        return tally
