"""What single NVML calls tell, as values: the answers of :mod:`jupyter_mig.nvml.raw`."""

from __future__ import annotations

from typing import NewType

import msgspec

from jupyter_mig.core.geometry import Engines

SIMULATION_MARK = "jupyterMigSimulation"
"""A symbol that NVIDIA's library does not have and ours has, so that nobody takes it for real."""

Device = NewType("Device", object)
"""NVML's handle of a GPU or of a MIG device."""

GpuInstance = NewType("GpuInstance", object)
"""NVML's handle of a GPU instance; void when the instance is destroyed or the GPU reset."""

ComputeInstance = NewType("ComputeInstance", object)
"""NVML's handle of a compute instance; void like the GPU instance's."""


class Placement(msgspec.Struct, frozen=True):
    """A possible or actual place of a GPU instance, in memory slices."""

    start: int
    size: int


class ProfileInfo(msgspec.Struct, frozen=True):
    """A GPU instance profile. ``enum`` asked for it, ``profile_id`` is what all else takes.

    ``name`` is as NVML gives it: empty with drivers that know only version 1 of the struct.
    """

    enum: int
    profile_id: int
    name: str
    memory_mib: int
    compute_slices: int
    multiprocessors: int
    max_count: int
    engines: Engines


class ComputeProfile(msgspec.Struct, frozen=True):
    """A compute instance profile inside one GPU instance."""

    profile_id: int
    compute_slices: int
    max_count: int


class GpuInstanceInfo(msgspec.Struct, frozen=True):
    """What NVML says of a GPU instance."""

    gi_id: int
    profile_id: int
    placement: Placement


class ComputeInstanceInfo(msgspec.Struct, frozen=True):
    """What NVML says of a compute instance. ``device`` should be its MIG device."""

    ci_id: int
    device: Device


class MigAttributes(msgspec.Struct, frozen=True):
    """What any user may learn of the size of a MIG device's GPU instance."""

    compute_slices: int
    memory_mib: int


class Memory(msgspec.Struct, frozen=True):
    """Bytes of a device. ``used_bytes`` leaves out the driver's own where NVML can tell."""

    used_bytes: int
    total_bytes: int


class Process(msgspec.Struct, frozen=True):
    """A process with a CUDA context, and the GPU instance it is on (0xFFFFFFFF: none)."""

    pid: int
    gi_id: int
