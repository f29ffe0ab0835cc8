"""Everything the ledger knows. It is plain data: its JSON form is the snapshot in the log."""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from operator import attrgetter

import msgspec

from jupyter_mig.core.actions import Signal
from jupyter_mig.core.geometry import Gpu, Identity, Spec
from jupyter_mig.core.index import Index
from jupyter_mig.core.leases import Holder, Lease
from jupyter_mig.core.occupancy import Occupancy
from jupyter_mig.core.rules import Rules


class PlaceState(str, Enum):
    """What an instance is doing.

    creating, claiming, destroying: the driver is at it. held: a lease has it. idle: it exists and
    may be handed out. condemned: it will not go, and is retried. outside: not ours to touch.
    unresolved: the broker stopped while the driver was at it; the next observation tells.
    """

    CREATING = "creating"
    CLAIMING = "claiming"
    HELD = "held"
    IDLE = "idle"
    DESTROYING = "destroying"
    CONDEMNED = "condemned"
    OUTSIDE = "outside"
    UNRESOLVED = "unresolved"


class Leaver(msgspec.Struct, frozen=True):
    """Whose slice an instance was that is his no more and not yet anybody else's."""

    owner: int
    lease_id: str


class Place(msgspec.Struct):
    """One instance: where it is, what NVML calls it, and whose it is.

    ``ours`` tells whether we created it: only those are ever destroyed. ``retry_at`` is when the
    next driver call on it is due, ``asked`` whether an observation of its occupants is under way.
    ``was`` remembers, while unresolved, what the driver was at. ``busy`` marks an idle instance
    on which somebody was seen. ``adopted``: an administrator has it handed out though not ours.
    ``pooled``: it is, or will be, ready for whoever asks first. ``left_by`` is whose it was last,
    until it is gone or handed back: who is still on it is there by him.
    """

    instance_id: str
    spec: Spec
    profile_name: str
    memory_bytes: int
    state: PlaceState
    ours: bool
    since: float
    identity: Identity | None = None
    lease_id: str | None = None
    retry_at: float | None = None
    asked: bool = False
    failures: int = 0
    suspects: tuple[int, ...] = ()
    signalled: Signal | None = None
    warm_owner: int | None = None
    warm_until: float | None = None
    busy: bool = False
    was: PlaceState | None = None
    pooled: bool = False
    adopted: bool = False
    left_by: Leaver | None = None

    @property
    def apart(self) -> bool:
        """Whether it is more than somebody's slice: idle, of a pool, or not of our making."""
        return self.state is PlaceState.IDLE or self.pooled or not self.ours

    def become(self, state: PlaceState, now: float) -> None:
        """Change what it is doing; whatever was pending in the old state is off."""
        self.state, self.since = state, now
        self.retry_at, self.asked, self.was = None, False, None
        self.warm_owner = self.warm_until = None
        self.pooled = self.pooled and state in (PlaceState.IDLE, PlaceState.UNRESOLVED)


class GpuState(msgspec.Struct):
    """A GPU and whether it can be used now.

    ``creates``: dynamic; otherwise existing instances are handed out. ``problem`` says why nothing
    new is started on it. ``trusted`` is False from the moment our picture of it proved wrong until
    it has been observed again. ``observe_at`` is when to look again after a failure.
    """

    gpu: Gpu
    creates: bool
    problem: str = ""
    trusted: bool = True
    observe_at: float | None = None
    failures: int = 0


class Parking(msgspec.Struct):
    """Room that is kept: for a resize of ``key`` (a lease), or for the waiting lease ``key`` while
    warm instances are cleared away. ``masks`` are memory slices by GPU, ``instances`` existing
    instances kept by id. ``since`` is when room began to be kept for ``key`` without a break.
    """

    key: str
    owner: int
    size: str
    until: float
    masks: dict[str, int] = {}
    instances: tuple[str, ...] = ()
    since: float | None = None


class State(msgspec.Struct, dict=True):
    """The whole. ``counter`` numbers leases in line and instances; ``now`` never goes back.
    ``dict=True`` is what lets the index be kept.

    ``pools_at`` is when pools may be filled again, after ``pool_failures`` in a row.
    ``served`` is when owners with leases were last given a slice, or gave one back. ``drained`` is
    why nothing new is started on GPUs, by UUID, where an administrator wants that. ``rules`` are
    those of the broker that took over last.
    """

    boot_id: str = ""
    now: float = 0.0
    counter: int = 0
    gpus: dict[str, GpuState] = {}
    instances: dict[str, Place] = {}
    leases: dict[str, Lease] = {}
    ended: dict[str, Lease] = {}
    parkings: dict[str, Parking] = {}
    served: dict[int, float] = {}
    pool_failures: int = 0
    pools_at: float | None = None
    drained: dict[str, str] = {}
    rules: Rules | None = None

    @cached_property
    def index(self) -> Index:
        """What would have to be searched for all the time."""
        return Index(self.leases.values(), self.instances.values())

    def add_lease(self, lease: Lease) -> None:
        """Somebody has asked."""
        self.leases[lease.lease_id] = lease
        self.index.add_lease(lease)

    def remove_lease(self, lease: Lease) -> None:
        """It is over."""
        del self.leases[lease.lease_id]
        self.index.remove_lease(lease)

    def add_place(self, place: Place) -> None:
        """There is, or will be, an instance more."""
        self.instances[place.instance_id] = place
        self.index.add_place(place)

    def remove_place(self, place: Place) -> None:
        """It is gone."""
        del self.instances[place.instance_id]
        self.index.remove_place(place)

    def remove_places(self) -> None:
        """All of them are."""
        for place in list(self.instances.values()):
            self.remove_place(place)

    def see_gpu(self, gpu: GpuState) -> None:
        """It is there, and like that now."""
        self.gpus[gpu.gpu.uuid] = gpu
        self.index.forget_gpu(gpu.gpu.uuid)

    def remove_gpus(self) -> None:
        """Nothing is known of any."""
        for uuid in self.gpus:
            self.index.forget_gpu(uuid)
        self.gpus.clear()

    def count(self) -> int:
        """The next number."""
        self.counter += 1
        return self.counter

    def waiting(self) -> list[Lease]:
        """Waiting leases in the order they asked."""
        return sorted(self.index.waiting.values(), key=attrgetter("order"))

    def apart(self) -> list[Place]:
        """The instances that are more than somebody's slice; most are not."""
        return list(self.index.apart.values())

    def on_gpu(self, gpu_uuid: str) -> list[Place]:
        """The instances known on one GPU."""
        return list(self.index.there[gpu_uuid].values())

    def is_drained(self, place: Place) -> bool:
        """Whether nothing new is to be started where the instance is."""
        return place.spec.gpu_uuid in self.drained

    def place_of(self, lease: Lease) -> Place | None:
        """The instance of a lease."""
        return self.instances.get(lease.instance_id) if lease.instance_id else None

    def lease_of(self, place: Place) -> Lease | None:
        """The lease of an instance."""
        return self.leases.get(place.lease_id) if place.lease_id else None

    def tenant(self, place: Place) -> Lease:
        """The lease of an instance that must have one: it is held or being made ready."""
        return self.leases[place.lease_id or ""]

    def holders(self) -> set[Holder]:
        """Everything whose life a lease hangs on."""
        requesters = {ls.requester for ls in self.leases.values() if not ls.requester_left}
        return requesters | {ls.kernel for ls in self.leases.values() if ls.kernel is not None}

    def occupancy(
        self,
        gpu_uuid: str,
        *,
        keys: frozenset[str] = frozenset(),
        without: frozenset[str] = frozenset(),
    ) -> Occupancy:
        """What is taken on a GPU, seen by somebody who may use the parkings named in ``keys`` and
        thinks the instances in ``without`` away. To read, never to change.
        """
        geometry = self.gpus[gpu_uuid].gpu.geometry
        tally = self.index.taken(gpu_uuid, geometry)
        if without:
            there = self.on_gpu(gpu_uuid)
            tally = Occupancy(geometry, (p.spec for p in there if p.instance_id not in without))
        for parking in self.parkings.values():
            if parking.key not in keys and gpu_uuid in parking.masks:
                tally = tally.copy()
                tally.block(parking.masks[gpu_uuid])
        return tally
