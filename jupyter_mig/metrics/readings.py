"""What was read of a slice: a value with its unit, or why there is none."""

from __future__ import annotations

import msgspec


class NotAvailable(msgspec.Struct, frozen=True, tag=True):
    """No value, and the reason in few words."""

    reason: str


class Memory(msgspec.Struct, frozen=True, tag=True):
    """Memory of a slice. ``used_bytes`` leaves out the driver's own where NVML can tell."""

    used_bytes: int
    total_bytes: int


class SliceReadings(msgspec.Struct, frozen=True):
    """All that was read of one instance. ``instance_id`` is the ledger's name for it."""

    instance_id: str
    memory: Memory | NotAvailable


class Readings(msgspec.Struct, frozen=True):
    """One pass over all slices, taken at that moment on the sampler's clock."""

    taken_at_seconds: float
    slices: tuple[SliceReadings, ...]
