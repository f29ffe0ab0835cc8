"""What there is to read, as a pass finds it when it begins."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from jupyter_mig.core.geometry import Identity


class Life(NamedTuple):
    """One tenancy of one instance. Ids and UUIDs of NVML's are used again, this never is."""

    instance_id: str
    lease_id: str | None


class Slice(msgspec.Struct, frozen=True):
    """An instance: ``instance_id`` is the ledger's name for it; without an identity it is being
    made. ``lease_id`` is whose it is, since ``life_seconds``.
    """

    instance_id: str
    gpu_uuid: str
    identity: Identity | None
    lease_id: str | None = None
    life_seconds: float = 0.0

    @property
    def life(self) -> Life:
        """What readings belong to that are about more than a moment."""
        return Life(self.instance_id, self.lease_id)


class Subjects(msgspec.Struct, frozen=True):
    """All slices, and all GPUs by UUID."""

    slices: tuple[Slice, ...] = ()
    gpu_uuids: tuple[str, ...] = ()

    @property
    def lives(self) -> frozenset[tuple[Life, bool]]:
        """Who has what, and whether it is there already: when this changes, look again."""
        return frozenset((one.life, one.identity is not None) for one in self.slices)

    @property
    def by_gpu(self) -> dict[str, tuple[Slice, ...]]:
        """The slices of each GPU, in order; also of GPUs that have none."""
        uuids = dict.fromkeys((*self.gpu_uuids, *(one.gpu_uuid for one in self.slices)))
        return {uuid: tuple(one for one in self.slices if one.gpu_uuid == uuid) for uuid in uuids}
