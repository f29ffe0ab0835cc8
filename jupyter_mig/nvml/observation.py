"""Which instances are on a GPU, and who is on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from jupyter_mig import errors
from jupyter_mig.core.geometry import (
    NO_GPU_INSTANCE,
    Geometry,
    Identity,
    Instance,
    Profile,
    Spec,
)
from jupyter_mig.nvml import naming, raw
from jupyter_mig.nvml.facts import ComputeInstance, Device, GpuInstance, Process

_MIB = 1024 * 1024
UNKNOWN_PROFILE = -1
"""No profile that the driver has told us of."""


class Compute(msgspec.Struct, frozen=True):
    """A compute instance and the MIG device that CUDA sees of it."""

    handle: ComputeInstance
    ci_id: int
    mig_device: Device
    mig_uuid: str


def instances(device: Device, geometry: Geometry) -> tuple[Instance, ...]:
    """All GPU instances; without the privilege to list them, all that have a MIG device."""
    if not raw.mig_enabled(device):
        return ()
    if geometry.profiles:
        try:
            return tuple(_listed(device, geometry))
        except errors.NoPermission:
            pass  # anybody may walk the MIG devices
    return tuple(_walked(device, geometry))


def occupants(device: Device, gi_id: int, mig_devices: Iterable[Device]) -> tuple[int, ...]:
    """The pids on a GPU instance, as the GPU tells or else the instance's MIG devices."""
    return _present(_everyone(device), gi_id, mig_devices)


def computing(device: Device) -> tuple[int, ...]:
    """The pids that compute on a whole GPU."""
    return tuple(sorted({one.pid for one in raw.computing(device)}))


def computes(device: Device, instance: GpuInstance, gi_id: int) -> list[Compute]:
    """The compute instances of a GPU instance, by id."""
    handles = [
        handle
        for profile in raw.compute_profiles(instance)
        for handle in raw.compute_instances(instance, profile)
    ]
    return sorted((compute(device, handle, gi_id) for handle in handles), key=lambda one: one.ci_id)


def compute(device: Device, handle: ComputeInstance, gi_id: int) -> Compute:
    """One compute instance with its MIG device.

    NVML's header calls the device in a compute instance's info the *parent*; what drivers put
    there is the MIG device. Where that does not hold, it is looked for among all.
    """
    info = raw.compute_instance_info(handle)
    mig_device, uuid = info.device, _uuid_or_nothing(info.device)
    if not uuid.startswith("MIG-"):
        mig_device = _mig_device(device, gi_id, info.ci_id)
        uuid = raw.device_uuid(mig_device)
    return Compute(handle=handle, ci_id=info.ci_id, mig_device=mig_device, mig_uuid=uuid)


def _uuid_or_nothing(device: Device) -> str:
    try:
        return raw.device_uuid(device)
    except (errors.InvalidArgument, errors.NotFound):
        return ""


def _mig_device(device: Device, gi_id: int, ci_id: int) -> Device:
    for mig_device in raw.mig_devices(device):
        if (raw.mig_gi_id(mig_device), raw.mig_ci_id(mig_device)) == (gi_id, ci_id):
            return mig_device
    raise errors.NotFound(
        f"GPU instance {gi_id}, compute instance {ci_id}: no MIG device",
        next_step="It may be going or coming right now: look again.",
        code=6,
        call="nvmlDeviceGetMigDeviceHandleByIndex",
    )


def _listed(device: Device, geometry: Geometry) -> Iterator[Instance]:
    """As a privileged reader sees them."""
    gpu_uuid = raw.device_uuid(device)
    everyone = _everyone(device)
    for profile in geometry.profiles:
        for handle in raw.gpu_instances(device, profile.profile_id, profile.max_count):
            info = raw.gpu_instance_info(handle)
            parts = computes(device, handle, info.gi_id)
            yield Instance(
                spec=Spec(gpu_uuid, info.profile_id, info.placement.start),
                identity=_identity(info.gi_id, parts),
                profile_name=profile.name,
                memory_bytes=profile.memory_bytes,
                occupants=_present_if_told(
                    everyone, info.gi_id, [part.mig_device for part in parts]
                ),
            )


def _identity(gi_id: int, parts: Sequence[Compute]) -> Identity:
    """By the lowest compute instance, should somebody have made several."""
    if not parts:
        return Identity(gi_id)
    return Identity(gi_id, parts[0].ci_id, parts[0].mig_uuid)


def _walked(device: Device, geometry: Geometry) -> Iterator[Instance]:
    """As any user sees them: one for each GPU instance, by its lowest compute instance."""
    gpu_uuid = raw.device_uuid(device)
    everyone = _everyone(device)
    groups: dict[int, dict[int, Device]] = {}
    for mig_device in raw.mig_devices(device):
        parts = groups.setdefault(raw.mig_gi_id(mig_device), {})
        parts[raw.mig_ci_id(mig_device)] = mig_device
    for gi_id, parts in groups.items():
        ci_id, mig_device = min(parts.items())
        profile = _profile_of(mig_device, geometry)
        yield Instance(
            spec=Spec(gpu_uuid, profile.profile_id),
            identity=Identity(gi_id, ci_id, raw.device_uuid(mig_device)),
            profile_name=profile.name,
            memory_bytes=profile.memory_bytes,
            occupants=_present_if_told(everyone, gi_id, parts.values()),
        )


def _profile_of(mig_device: Device, geometry: Geometry) -> Profile:
    """The profile that a MIG device's name tells, or else its size.

    Where the driver does not tell the profiles, or not this one, the device speaks for itself.
    """
    name = naming.stripped(raw.device_name(mig_device))
    if name in geometry.by_name:
        return geometry.by_name[name]
    size = raw.mig_attributes(mig_device)
    for profile in geometry.profiles:
        if (profile.compute_slices, profile.memory_bytes) == (
            size.compute_slices,
            size.memory_mib * _MIB,
        ):
            return profile
    return Profile(
        profile_id=UNKNOWN_PROFILE,
        name=naming.sensible(name)
        or naming.profile_name(0, size.compute_slices, size.memory_mib, 0),
        memory_bytes=size.memory_mib * _MIB,
        multiprocessors=0,
        compute_slices=size.compute_slices,
        max_count=0,
    )


def _everyone(device: Device) -> list[Process] | None:
    """All processes on the GPU; None if the driver does not tell, or hides where they are."""
    try:
        found = raw.processes(device)
    except (errors.NoPermission, errors.NotSupported):
        return None
    hidden = any(one.gi_id == NO_GPU_INSTANCE for one in found)
    return None if hidden else found


def _present(
    everyone: Iterable[Process] | None, gi_id: int, mig_devices: Iterable[Device]
) -> tuple[int, ...]:
    if everyone is None:
        there = [one.pid for mig_device in mig_devices for one in raw.processes(mig_device)]
    else:
        there = [one.pid for one in everyone if one.gi_id == gi_id]
    return tuple(sorted(set(there)))


def _present_if_told(
    everyone: Iterable[Process] | None, gi_id: int, mig_devices: Iterable[Device]
) -> tuple[int, ...] | None:
    try:
        return _present(everyone, gi_id, mig_devices)
    except (errors.NoPermission, errors.NotSupported):
        return None
