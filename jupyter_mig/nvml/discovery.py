"""What a GPU is and what it can be cut into."""

from __future__ import annotations

from collections.abc import Iterable

from jupyter_mig import errors
from jupyter_mig.core.geometry import Geometry, Gpu, Profile
from jupyter_mig.nvml import naming, raw
from jupyter_mig.nvml.facts import Device, Placement, ProfileInfo

_MIB = 1024 * 1024


def describe(device: Device, index: int) -> Gpu:
    """One GPU; with an empty geometry where it has no MIG or MIG mode is off."""
    mig_enabled = raw.mig_enabled(device)
    infos = _profile_infos(device) if mig_enabled else []
    memory_mib = _memory_mib(device, infos)
    return Gpu(
        uuid=raw.device_uuid(device),
        index=index,
        name=raw.device_name(device),
        minor=raw.device_minor(device),
        memory_bytes=memory_mib * _MIB,
        mig_enabled=mig_enabled,
        geometry=Geometry(tuple(_profile(device, info, memory_mib) for info in infos)),
    )


def geometry(device: Device) -> Geometry:
    """All profiles of a GPU in MIG mode."""
    infos = _profile_infos(device)
    memory_mib = _memory_mib(device, infos)
    return Geometry(tuple(_profile(device, info, memory_mib) for info in infos))


def _profile_infos(device: Device) -> list[ProfileInfo]:
    """The profiles; none for a reader without the privilege to learn them."""
    try:
        return raw.profiles(device)
    except errors.NoPermission:
        return []


def _memory_mib(device: Device, infos: Iterable[ProfileInfo]) -> int:
    """The GPU's memory.

    In MIG mode a reader without ``mig/monitor`` is not told, and has to do with that of the
    largest profile; GPUs that share the host's memory have none of their own.
    """
    try:
        return raw.memory(device).total_bytes // _MIB
    except (errors.NoPermission, errors.NotSupported):
        return max((info.memory_mib for info in infos), default=0)


def _profile(device: Device, info: ProfileInfo, total_mib: int) -> Profile:
    places = _places(device, info.profile_id)
    return Profile(
        profile_id=info.profile_id,
        name=naming.stripped(info.name)
        or naming.profile_name(info.enum, info.compute_slices, info.memory_mib, total_mib),
        memory_bytes=info.memory_mib * _MIB,
        multiprocessors=info.multiprocessors,
        compute_slices=info.compute_slices,
        max_count=info.max_count,
        width=max((place.size for place in places), default=0),
        starts=tuple(sorted(place.start for place in places)),
        engines=info.engines,
    )


def _places(device: Device, profile_id: int) -> list[Placement]:
    """The possible places; none for a reader without the privilege to learn them."""
    try:
        return raw.placements(device, profile_id)
    except errors.NoPermission:
        return []
