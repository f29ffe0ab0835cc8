"""How NVML lists and finds instances and placements: alike on a GPU and inside a GPU instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .arguments import Buffer, write_array, write_handles
from .codes import Code, Returned
from .handles import Kind
from .session import Session
from .silicon import ComputeInstance, GpuInstance

Instances = Sequence[GpuInstance] | Sequence[ComputeInstance]


def write_placements(
    into: Buffer | None, count: Any, struct: type[Any], starts: Sequence[int], size: int
) -> None:
    """All placements of a profile, as such structs."""
    write_array(into, count, struct, [{"start": start, "size": size} for start in starts])


def require_placement(placement: Any, starts: Sequence[int], size: int) -> None:
    """Refuse a placement that the profile cannot have."""
    if placement.start not in starts or placement.size != size:
        raise Returned(Code.INVALID_ARGUMENT)


def write_instances(
    session: Session, found: tuple[Kind, int, Instances], profile_id: int, into: Buffer, count: Any
) -> None:
    """Handles of those of one profile; ``found`` are their kind, their GPU, and all there are. The
    header wants room for all that the profile can have; the count, too.
    """
    kind, gpu, instances = found
    handles = [
        session.handle(kind, gpu, one.serial) for one in instances if one.profile_id == profile_id
    ]
    write_handles(into, count, handles)


def serial_of(instances: Instances, instance_id: int) -> int:
    """Which one has that id now."""
    for one in instances:
        if one.id == instance_id:
            return one.serial
    raise Returned(Code.NOT_FOUND)
