"""MIG devices: what an unprivileged program may see of the slices."""

from __future__ import annotations

from typing import Any

import pynvml

from .arguments import (
    PhysicalGpu,
    device,
    fill,
    gpu,
    handle_out,
    mig_device,
    pointer_to,
    uint,
    uint_out,
)
from .codes import Code, Returned
from .compute_instance_calls import shared_engines
from .handles import Kind
from .session import Session
from .silicon import Place
from .table import FunctionTable

MIG_DEVICE = FunctionTable()

_GPU = gpu(if_mig_device=Code.INVALID_ARGUMENT)
_MIG = mig_device(if_gpu=Code.INVALID_ARGUMENT)


@MIG_DEVICE.function("nvmlDeviceIsMigDeviceHandle", device, uint_out)
def is_mig_device_handle(_session: Session, of: PhysicalGpu | Place, into: Any) -> None:
    """1 or 0."""
    into.value = isinstance(of, Place)


@MIG_DEVICE.function("nvmlDeviceGetMaxMigDeviceCount", _GPU, uint_out)
def max_mig_device_count(session: Session, of: PhysicalGpu, into: Any) -> None:
    """One for each compute slice; 0 while MIG is off."""
    on = session.now.gpus[of.gpu].mig_mode
    into.value = session.machine.models[of.gpu].compute_slices if on else 0


@MIG_DEVICE.function("nvmlDeviceGetMigDeviceHandleByIndex", _GPU, uint, handle_out)
def handle_by_index(session: Session, of: PhysicalGpu, index: int, into: Any) -> None:
    """Indices are sparse: where a device went, a hole stays until the next one fills it."""
    if index >= session.machine.models[of.gpu].compute_slices:
        raise Returned(Code.INVALID_ARGUMENT)
    for place in session.now.places(of.gpu):
        if place.compute.index == index:
            into.value = session.handle(Kind.MIG_DEVICE, of.gpu, place.compute.serial)
            return
    raise Returned(Code.NOT_FOUND)


@MIG_DEVICE.function("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", _MIG, handle_out)
def parent(session: Session, of: Place, into: Any) -> None:
    """The GPU a MIG device is on."""
    into.value = session.handle(Kind.GPU, of.gpu)


@MIG_DEVICE.function("nvmlDeviceGetGpuInstanceId", _MIG, uint_out)
def gpu_instance_id(_session: Session, of: Place, into: Any) -> None:
    """The id of its GPU instance."""
    into.value = of.instance.id


@MIG_DEVICE.function("nvmlDeviceGetComputeInstanceId", _MIG, uint_out)
def compute_instance_id(_session: Session, of: Place, into: Any) -> None:
    """The id of its compute instance, inside the GPU instance."""
    into.value = of.compute.id


@MIG_DEVICE.function(
    "nvmlDeviceGetAttributes_v2",
    mig_device(if_gpu=Code.NOT_SUPPORTED),
    pointer_to(pynvml.c_nvmlDeviceAttributes),
)
def attributes(session: Session, of: Place, into: Any) -> None:
    """Size and engines; of MIG devices only."""
    profile = session.machine.profile_of(of.gpu, of.instance)
    computes = {compute.id: compute for compute in profile.compute_profiles}
    fill(
        into,
        multiprocessorCount=computes[of.compute.profile_id].multiprocessors,
        gpuInstanceSliceCount=profile.slices,
        computeInstanceSliceCount=of.compute.size,
        memorySizeMB=profile.memory_mib,
        **shared_engines(profile.engines),
    )
