"""MIG mode, GPU instance profiles, and GPU instances.

Order of checks, as probed on real libraries: arguments, then whether MIG is on, then privilege.
"""

from __future__ import annotations

from typing import Any

import pynvml

from . import geometry
from .arguments import (
    Buffer,
    InstanceTarget,
    PhysicalGpu,
    buffer,
    fill,
    gpu,
    gpu_instance,
    handle_out,
    nullable_buffer,
    pointer_to,
    uint,
    uint_out,
)
from .codes import Code, Returned
from .handles import Kind
from .listing import require_placement, serial_of, write_instances, write_placements
from .models import GPU_ENUM_COUNT, Profile
from .session import Session
from .table import FunctionTable

GPU_INSTANCE = FunctionTable()

_GPU = gpu(if_mig_device=Code.INVALID_ARGUMENT)
_PLACEMENT_IN = pointer_to(pynvml.c_nvmlGpuInstancePlacement_t)
_PROFILE_V2 = pointer_to(
    pynvml.c_nvmlGpuInstanceProfileInfo_v2_t, pynvml.nvmlGpuInstanceProfileInfo_v2
)


@GPU_INSTANCE.function("nvmlDeviceGetMigMode", _GPU, uint_out, uint_out)
def get_mig_mode(session: Session, of: PhysicalGpu, current: Any, pending: Any) -> None:
    """What holds now, and what will after the next activation."""
    found = session.now.gpus[of.gpu]
    current.value, pending.value = found.mig_mode, found.pending_mig_mode


@GPU_INSTANCE.function("nvmlDeviceSetMigMode", _GPU, uint, uint_out)
def set_mig_mode(session: Session, of: PhysicalGpu, mode: int, activation: Any) -> None:
    """Succeeds even when the mode stays pending: the activation status tells."""
    if mode not in (pynvml.NVML_DEVICE_MIG_DISABLE, pynvml.NVML_DEVICE_MIG_ENABLE):
        raise Returned(Code.INVALID_ARGUMENT)
    session.require_config()
    activation.value = session.machine.set_mig_mode(of.gpu, on=bool(mode))


@GPU_INSTANCE.function(
    "nvmlDeviceGetGpuInstanceProfileInfo",
    _GPU,
    uint,
    pointer_to(pynvml.c_nvmlGpuInstanceProfileInfo_t),
)
def profile_info(session: Session, of: PhysicalGpu, enum: int, into: Any) -> None:
    """By enum, version 1: no name."""
    fill(into, **_numbers(_by_enum(session, of, enum)))


@GPU_INSTANCE.function("nvmlDeviceGetGpuInstanceProfileInfoV", _GPU, uint, _PROFILE_V2)
def profile_info_v2(session: Session, of: PhysicalGpu, enum: int, into: Any) -> None:
    """By enum, version 2."""
    profile = _by_enum(session, of, enum)
    fill(into, name=f"MIG {profile.name}", **_numbers(profile))


@GPU_INSTANCE.function("nvmlDeviceGetGpuInstanceProfileInfoByIdV", _GPU, uint, _PROFILE_V2)
def profile_info_by_id(session: Session, of: PhysicalGpu, profile_id: int, into: Any) -> None:
    """By id, version 2."""
    profile = _by_id(session, of, profile_id)
    fill(into, name=f"MIG {profile.name}", **_numbers(profile))


@GPU_INSTANCE.function(
    "nvmlDeviceGetGpuInstancePossiblePlacements_v2", _GPU, uint, nullable_buffer, uint_out
)
def possible_placements(
    session: Session, of: PhysicalGpu, profile_id: int, into: Buffer | None, count: Any
) -> None:
    """All placements the profile could have on an empty GPU."""
    profile = _by_id(session, of, profile_id)
    session.require_config()
    struct = pynvml.c_nvmlGpuInstancePlacement_t
    write_placements(into, count, struct, profile.starts, profile.size)


@GPU_INSTANCE.function("nvmlDeviceGetGpuInstanceRemainingCapacity", _GPU, uint, uint_out)
def remaining_capacity(session: Session, of: PhysicalGpu, profile_id: int, into: Any) -> None:
    """How many more of this profile alone."""
    profile = _by_id(session, of, profile_id)
    session.require_config()
    model = session.machine.models[of.gpu]
    into.value = geometry.remaining_capacity(model, session.now.gpus[of.gpu], profile)


@GPU_INSTANCE.function("nvmlDeviceCreateGpuInstance", _GPU, uint, handle_out)
def create(session: Session, of: PhysicalGpu, profile_id: int, into: Any) -> None:
    """The driver chooses the place."""
    _create(session, of, _by_id(session, of, profile_id), None, into)


@GPU_INSTANCE.function(
    "nvmlDeviceCreateGpuInstanceWithPlacement", _GPU, uint, _PLACEMENT_IN, handle_out
)
def create_with_placement(
    session: Session, of: PhysicalGpu, profile_id: int, placement: Any, into: Any
) -> None:
    """An impossible placement is an invalid argument, an occupied one insufficient resources."""
    profile = _by_id(session, of, profile_id)
    require_placement(placement, profile.starts, profile.size)
    _create(session, of, profile, placement.start, into)


@GPU_INSTANCE.function("nvmlGpuInstanceDestroy", gpu_instance)
def destroy(session: Session, of: InstanceTarget) -> None:
    """In Use while a compute instance is in it."""
    session.require_config()
    session.machine.destroy_gpu_instance(of.gpu, of.instance)


@GPU_INSTANCE.function("nvmlDeviceGetGpuInstances", _GPU, uint, buffer, uint_out)
def gpu_instances(
    session: Session, of: PhysicalGpu, profile_id: int, into: Buffer, count: Any
) -> None:
    """Those of one profile."""
    profile = _by_id(session, of, profile_id)
    session.require_config()
    found = (Kind.GPU_INSTANCE, of.gpu, session.now.gpus[of.gpu].instances)
    write_instances(session, found, profile.id, into, count)


@GPU_INSTANCE.function("nvmlDeviceGetGpuInstanceById", _GPU, uint, handle_out)
def gpu_instance_by_id(session: Session, of: PhysicalGpu, instance_id: int, into: Any) -> None:
    """By the driver's id, which the next instance in that place will have again."""
    session.require_mig(of.gpu)
    session.require_config()
    serial = serial_of(session.now.gpus[of.gpu].instances, instance_id)
    into.value = session.handle(Kind.GPU_INSTANCE, of.gpu, serial)


@GPU_INSTANCE.function(
    "nvmlGpuInstanceGetInfo", gpu_instance, pointer_to(pynvml.c_nvmlGpuInstanceInfo_t)
)
def gpu_instance_info(session: Session, of: InstanceTarget, into: Any) -> None:
    """The only place where the placement of an instance is told; its handle needs privilege."""
    instance = of.instance
    device = session.handle(Kind.GPU, of.gpu)
    into.device = pynvml.cast(device, pynvml.c_nvmlDevice_t)
    fill(into, id=instance.id, profileId=instance.profile_id)
    fill(into.placement, start=instance.start, size=instance.size)


def _create(
    session: Session, of: PhysicalGpu, profile: Profile, start: int | None, into: Any
) -> None:
    session.require_config()
    made = session.machine.create_gpu_instance(of.gpu, profile, start)
    into.value = session.handle(Kind.GPU_INSTANCE, of.gpu, made.serial)


def _by_enum(session: Session, of: PhysicalGpu, enum: int) -> Profile:
    """The enum is not an id: beyond the last it is invalid, known but absent not supported."""
    if enum >= GPU_ENUM_COUNT:
        raise Returned(Code.INVALID_ARGUMENT)
    session.require_mig(of.gpu)
    found = session.machine.models[of.gpu].profile_by_enum(enum)
    if found is None:
        raise Returned(Code.NOT_SUPPORTED)
    return found


def _by_id(session: Session, of: PhysicalGpu, profile_id: int) -> Profile:
    session.require_mig(of.gpu)
    found = session.machine.models[of.gpu].profile(profile_id)
    if found is None:
        raise Returned(Code.INVALID_ARGUMENT)
    return found


def _numbers(profile: Profile) -> dict[str, int]:
    return {
        "id": profile.id,
        "isP2pSupported": 0,
        "sliceCount": profile.slices,
        "instanceCount": profile.max_count,
        "multiprocessorCount": profile.multiprocessors,
        "copyEngineCount": profile.engines.copy,
        "decoderCount": profile.engines.decoder,
        "encoderCount": profile.engines.encoder,
        "jpegCount": profile.engines.jpeg,
        "ofaCount": profile.engines.ofa,
        "memorySizeMB": profile.memory_mib,
    }
