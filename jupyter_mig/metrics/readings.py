"""What was read: a value with its unit, or why there is none."""

from __future__ import annotations

import math

import msgspec

GPM = "GPM"
"""The performance counters that NVML reads: Hopper and newer."""

NVML = "NVML"
"""The driver's own account of a GPU without MIG."""

EXPORTER = "dcgm-exporter"
"""NVIDIA's exporter of what DCGM measures: Ampere, too."""


class NotAvailable(msgspec.Struct, frozen=True, tag=True):
    """No value, and the reason in few words."""

    reason: str


class Memory(msgspec.Struct, frozen=True, tag=True):
    """Memory of a slice. ``used_bytes`` leaves out the driver's own where NVML can tell."""

    used_bytes: int
    total_bytes: int


class Utilization(msgspec.Struct, frozen=True, tag=True):
    """How busy a slice was, in per cent of what it has: by ``sm``, ``graphics``, ``tensor`` and
    ``dram`` (memory bandwidth), those that were measured. ``source`` is who measured.
    """

    percent: dict[str, float]
    source: str

    @property
    def of_compute(self) -> float | None:
        """The one number for a sparkline: of the SMs, else of graphics."""
        return self.percent.get("sm", self.percent.get("graphics"))


class SliceReadings(msgspec.Struct, frozen=True):
    """All that was read of one instance. ``instance_id`` is the ledger's name for it, ``lease_id``
    whose it was when the pass began. ``processes`` counts CUDA processes.
    """

    instance_id: str
    lease_id: str | None
    memory: Memory | NotAvailable
    utilization: Utilization | NotAvailable
    processes: int | NotAvailable


class GpuReadings(msgspec.Struct, frozen=True):
    """What was read of a GPU; all its slices share it."""

    gpu_uuid: str
    power_watts: float | NotAvailable
    temperature_celsius: float | NotAvailable


class Readings(msgspec.Struct, frozen=True):
    """One pass over all slices, taken at that moment on the sampler's clock."""

    taken_at_seconds: float
    slices: tuple[SliceReadings, ...] = ()
    gpus: tuple[GpuReadings, ...] = ()


def sensible(percent: dict[str, float], source: str) -> Utilization | NotAvailable:
    """What was measured, without what cannot be: below 0, above 100, no number."""
    kept = {name: one for name, one in percent.items() if math.isfinite(one) and 0 <= one <= 100}
    if kept:
        return Utilization(kept, source)
    if percent:
        return NotAvailable(f"{source} answers nonsense: {_listed(percent)}")
    return NotAvailable(f"{source} has no utilization of this slice")


def _listed(percent: dict[str, float]) -> str:
    return ", ".join(f"{name} {one:g}" for name, one in percent.items())
