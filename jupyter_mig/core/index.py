"""What is looked up at every event, kept while the state changes instead of being searched for.

It is no part of the state's data: it is made from that when it is first asked for, and
:func:`~jupyter_mig.core.check.check` makes it again and compares.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from jupyter_mig.core.geometry import Geometry
from jupyter_mig.core.leases import Lease, LeaseState
from jupyter_mig.core.occupancy import Occupancy

if TYPE_CHECKING:  # those are what the state consists of, and it has an index
    from jupyter_mig.core.state import GpuState, Place

_Group = tuple[Occupancy, list[str]]


class Index:
    """``waiting`` are the leases in line by id, ``asked`` those of each kernel (the owner's and the
    kernel's id), ``there`` the instances on each GPU, ``apart`` those that are more than somebody's
    slice: idle, of a pool, or not of our making. ``counts`` says how many leases each owner has.
    """

    def __init__(self, leases: Iterable[Lease], places: Iterable[Place]) -> None:
        self.waiting: dict[str, Lease] = {}
        self.asked: defaultdict[tuple[int, str], dict[str, Lease]] = defaultdict(dict)
        self.counts: defaultdict[int, int] = defaultdict(int)
        self.there: defaultdict[str, dict[str, Place]] = defaultdict(dict)
        self.apart: dict[str, Place] = {}
        self._taken: dict[str, Occupancy] = {}
        self._groups: dict[object, _Group] = {}
        self._group_of: dict[str, object] = {}
        for lease in leases:
            self.add_lease(lease)
        for place in places:
            self.add_place(place)

    def __eq__(self, other: object) -> bool:
        """Whether they say the same."""
        return isinstance(other, Index) and self._said() == other._said()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _said(self) -> tuple[object, ...]:
        there = {uuid: places for uuid, places in self.there.items() if places}
        return self.waiting, self.asked, self.counts, there, self.apart

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
        self.became(place)
        self.forget_gpu(place.spec.gpu_uuid)

    def became(self, place: Place) -> None:
        """An instance does something else now."""
        if place.apart:
            self.apart[place.instance_id] = place
        else:
            self.apart.pop(place.instance_id, None)

    def remove_place(self, place: Place) -> None:
        """There is one less."""
        del self.there[place.spec.gpu_uuid][place.instance_id]
        self.apart.pop(place.instance_id, None)
        self.forget_gpu(place.spec.gpu_uuid)

    def forget_gpu(self, gpu_uuid: str) -> None:
        """Something is another way there."""
        self._taken.pop(gpu_uuid, None)
        key = self._group_of.pop(gpu_uuid, None)
        if key is not None:
            _, uuids = self._groups[key]
            uuids.remove(gpu_uuid)
            if not uuids:
                del self._groups[key]

    def taken(self, gpu_uuid: str, geometry: Geometry) -> Occupancy:
        """What instances take on a GPU. To read, never to change."""
        tally = self._taken.get(gpu_uuid)
        if tally is None or tally.geometry is not geometry:
            specs = (place.spec for place in self.there[gpu_uuid].values())
            tally = self._taken[gpu_uuid] = Occupancy(geometry, specs)
        return tally

    def alike(self, gpus: Mapping[str, GpuState]) -> Collection[tuple[Occupancy, Sequence[str]]]:
        """What instances take, each time with the GPUs on which it is just that, in their order:
        most are full or empty. On all of them instances are made, or on none. To read, never to
        change.
        """
        for uuid in [uuid for uuid in gpus if uuid not in self._group_of]:
            tally, creates = self.taken(uuid, gpus[uuid].gpu.geometry), gpus[uuid].creates
            key = (id(tally.geometry), creates, tally.mask, tuple(sorted(tally.counts.items())))
            _, uuids = self._groups.setdefault(key, (tally, []))
            insort(uuids, uuid, key=lambda each: gpus[each].gpu.index)
            self._group_of[uuid] = key
        return self._groups.values()
