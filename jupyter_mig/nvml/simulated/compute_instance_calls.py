"""Compute instances inside a GPU instance."""

from __future__ import annotations

import ctypes
from typing import Any

import pynvml

from .arguments import (
    Buffer,
    InstanceTarget,
    buffer,
    compute_instance,
    fill,
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
from .models import COMPUTE_ENUM_COUNT, ComputeProfile, Engines, Profile
from .partitioning import compute_capacity
from .session import Session
from .silicon import Place
from .table import FunctionTable

COMPUTE_INSTANCE = FunctionTable()

_PROFILE_V2 = pointer_to(
    pynvml.c_nvmlComputeInstanceProfileInfo_v2_t, pynvml.nvmlComputeInstanceProfileInfo_v2
)
_PLACEMENT_IN = pointer_to(pynvml.c_nvmlComputeInstancePlacement_t)


@COMPUTE_INSTANCE.function(
    "nvmlGpuInstanceGetComputeInstanceProfileInfo",
    gpu_instance,
    uint,
    uint,
    pointer_to(pynvml.c_nvmlComputeInstanceProfileInfo_t),
)
def profile_info(session: Session, of: InstanceTarget, enum: int, engines: int, into: Any) -> None:
    """By enum, version 1: no name."""
    fill(into, **_numbers(*_by_enum(session, of, enum, engines)))


@COMPUTE_INSTANCE.function(
    "nvmlGpuInstanceGetComputeInstanceProfileInfoV", gpu_instance, uint, uint, _PROFILE_V2
)
def profile_info_v2(
    session: Session, of: InstanceTarget, enum: int, engines: int, into: Any
) -> None:
    """By enum, version 2."""
    profile, compute = _by_enum(session, of, enum, engines)
    part = "" if compute.slices == profile.slices else f"{compute.slices}c."
    fill(into, name=f"MIG {part}{profile.name}", **_numbers(profile, compute))


@COMPUTE_INSTANCE.function(
    "nvmlGpuInstanceGetComputeInstanceRemainingCapacity", gpu_instance, uint, uint_out
)
def remaining_capacity(session: Session, of: InstanceTarget, profile_id: int, into: Any) -> None:
    """How many more of this compute profile alone."""
    compute = _by_id(session, of, profile_id)
    session.require_config()
    into.value = compute_capacity(session.machine.models[of.gpu], of.instance, compute)


@COMPUTE_INSTANCE.function(
    "nvmlGpuInstanceGetComputeInstancePossiblePlacements",
    gpu_instance,
    uint,
    nullable_buffer,
    uint_out,
)
def possible_placements(
    session: Session, of: InstanceTarget, profile_id: int, into: Buffer | None, count: Any
) -> None:
    """All placements the compute profile could have in an empty GPU instance."""
    compute = _by_id(session, of, profile_id)
    session.require_config()
    struct = pynvml.c_nvmlComputeInstancePlacement_t
    write_placements(into, count, struct, compute.starts, compute.slices)


@COMPUTE_INSTANCE.function("nvmlGpuInstanceCreateComputeInstance", gpu_instance, uint, handle_out)
def create(session: Session, of: InstanceTarget, profile_id: int, into: Any) -> None:
    """The driver chooses the place."""
    _create(session, of, _by_id(session, of, profile_id), None, into)


@COMPUTE_INSTANCE.function(
    "nvmlGpuInstanceCreateComputeInstanceWithPlacement",
    gpu_instance,
    uint,
    _PLACEMENT_IN,
    handle_out,
)
def create_with_placement(
    session: Session, of: InstanceTarget, profile_id: int, placement: Any, into: Any
) -> None:
    """An impossible placement is an invalid argument, an occupied one insufficient resources."""
    compute = _by_id(session, of, profile_id)
    require_placement(placement, compute.starts, compute.slices)
    _create(session, of, compute, placement.start, into)


@COMPUTE_INSTANCE.function("nvmlComputeInstanceDestroy", compute_instance)
def destroy(session: Session, of: Place) -> None:
    """In Use while a CUDA client runs on it."""
    session.require_config()
    session.machine.destroy_compute_instance(of)


@COMPUTE_INSTANCE.function(
    "nvmlGpuInstanceGetComputeInstances", gpu_instance, uint, buffer, uint_out
)
def compute_instances(
    session: Session, of: InstanceTarget, profile_id: int, into: Buffer, count: Any
) -> None:
    """Those of one compute profile."""
    compute = _by_id(session, of, profile_id)
    session.require_config()
    found = (Kind.COMPUTE_INSTANCE, of.gpu, of.instance.compute_instances)
    write_instances(session, found, compute.id, into, count)


@COMPUTE_INSTANCE.function("nvmlGpuInstanceGetComputeInstanceById", gpu_instance, uint, handle_out)
def compute_instance_by_id(
    session: Session, of: InstanceTarget, compute_id: int, into: Any
) -> None:
    """By its id inside the GPU instance."""
    session.require_config()
    serial = serial_of(of.instance.compute_instances, compute_id)
    into.value = session.handle(Kind.COMPUTE_INSTANCE, of.gpu, serial)


@COMPUTE_INSTANCE.function(
    "nvmlComputeInstanceGetInfo_v2",
    compute_instance,
    pointer_to(pynvml.c_nvmlComputeInstanceInfo_t),
)
@COMPUTE_INSTANCE.function(
    "nvmlComputeInstanceGetInfo",
    compute_instance,
    pointer_to(pynvml.c_nvmlComputeInstanceInfo_t),
)
def compute_instance_info(session: Session, of: Place, into: Any) -> None:
    """Its ``device`` is the MIG device handle, whatever the header's comment says."""
    device = session.handle(Kind.MIG_DEVICE, of.gpu, of.compute.serial)
    instance = session.handle(Kind.GPU_INSTANCE, of.gpu, of.instance.serial)
    into.device = ctypes.cast(device, pynvml.c_nvmlDevice_t)
    into.gpuInstance = ctypes.cast(instance, pynvml.c_nvmlGpuInstance_t)
    fill(into, id=of.compute.id, profileId=of.compute.profile_id)
    fill(into.placement, start=of.compute.start, size=of.compute.size)


def _create(
    session: Session, of: InstanceTarget, compute: ComputeProfile, start: int | None, into: Any
) -> None:
    session.require_config()
    made = session.machine.create_compute_instance(of.gpu, of.instance, compute, start)
    into.value = session.handle(Kind.COMPUTE_INSTANCE, of.gpu, made.compute.serial)


def _by_enum(
    session: Session, of: InstanceTarget, enum: int, engines: int
) -> tuple[Profile, ComputeProfile]:
    shared = pynvml.NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED
    if enum >= COMPUTE_ENUM_COUNT or engines != shared:
        raise Returned(Code.INVALID_ARGUMENT)
    profile = session.machine.profile_of(of.gpu, of.instance)
    for compute in profile.compute_profiles:
        if compute.enum == enum:
            return profile, compute
    raise Returned(Code.NOT_SUPPORTED)


def _by_id(session: Session, of: InstanceTarget, profile_id: int) -> ComputeProfile:
    """Known widths that this GPU instance lacks are not supported, other ids invalid."""
    found = session.machine.profile_of(of.gpu, of.instance).compute_profile(profile_id)
    if found is not None:
        return found
    everywhere = {
        compute.id
        for profile in session.machine.models[of.gpu].profiles
        for compute in profile.compute_profiles
    }
    known = profile_id in everywhere
    raise Returned(Code.NOT_SUPPORTED if known else Code.INVALID_ARGUMENT)


def _numbers(profile: Profile, compute: ComputeProfile) -> dict[str, int]:
    return {
        "id": compute.id,
        "sliceCount": compute.slices,
        "instanceCount": compute.max_count,
        "multiprocessorCount": compute.multiprocessors,
        **shared_engines(profile.engines),
    }


def shared_engines(engines: Engines) -> dict[str, int]:
    """Engine counts under the names that compute instances and MIG devices share."""
    return {
        "sharedCopyEngineCount": engines.copy,
        "sharedDecoderCount": engines.decoder,
        "sharedEncoderCount": engines.encoder,
        "sharedJpegCount": engines.jpeg,
        "sharedOfaCount": engines.ofa,
    }
