"""Reading one GPU and its slices. Blocks; one pass at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from jupyter_mig.core.geometry import Identity
from jupyter_mig.errors import JupyterMigError, NoPermission, NotSupported
from jupyter_mig.metrics.exporter import NO_EXPORTER, Exported
from jupyter_mig.metrics.meter import Meter
from jupyter_mig.metrics.readings import (
    NVML,
    GpuReadings,
    Memory,
    NotAvailable,
    SliceReadings,
    Utilization,
    sensible,
)
from jupyter_mig.metrics.subjects import Slice
from jupyter_mig.metrics.windows import Windows

BEING_MADE = NotAvailable("it is being made")

_Value = TypeVar("_Value")


class GpuPass(msgspec.Struct, frozen=True):
    """What one pass over a GPU found."""

    gpu: GpuReadings
    slices: tuple[SliceReadings, ...]


class GpuReader:
    """Reads one GPU, through whatever can tell."""

    def __init__(
        self, gpu_uuid: str, meter: Meter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gpu_uuid = gpu_uuid
        self._meter = meter
        self._clock = clock
        self._windows = Windows(meter, clock)

    def read(self, slices: Sequence[Slice], exported: Exported) -> GpuPass:
        """One pass over the GPU and those of its slices that there are now."""
        self._windows.keep_only({one.life for one in slices})
        return GpuPass(self._gpu(), tuple(self._slice(one, exported) for one in slices))

    def _gpu(self) -> GpuReadings:
        uuid = self._gpu_uuid
        return GpuReadings(
            uuid,
            _or_why_not(lambda: _within(self._meter.power_watts(uuid), 0, 10_000)),
            _or_why_not(lambda: _within(self._meter.temperature_celsius(uuid), -60, 200)),
        )

    def _slice(self, one: Slice, exported: Exported) -> SliceReadings:
        identity = one.identity
        if identity is None:
            return nothing_of(one, BEING_MADE)
        return SliceReadings(
            one.instance_id,
            one.lease_id,
            _or_why_not(partial(self._memory, identity)),
            _or_why_not(partial(self._utilization, one, identity, exported)),
            _or_why_not(lambda: len(self._meter.occupants(one.gpu_uuid, identity))),
        )

    def _memory(self, identity: Identity) -> Memory | NotAvailable:
        used, total = self._meter.memory(identity)
        if not 0 <= used <= total:
            return NotAvailable(f"NVML answers nonsense: {used} of {total} bytes used")
        return Memory(used, total)

    def _utilization(
        self, one: Slice, identity: Identity, exported: Exported
    ) -> Utilization | NotAvailable:
        """From the best source there is: counters, the driver's account, DCGM."""
        try:
            return self._windows.utilization(one, identity)
        except NotSupported:
            if identity.is_gpu:
                return sensible({"graphics": self._meter.busy_percent(one.gpu_uuid)}, NVML)
            return exported.utilization(one, self._clock())
        except NoPermission:  # the counters may be kept from this user; DCGM has them as root
            if exported is NO_EXPORTER:
                raise
            return exported.utilization(one, self._clock())


def nothing_of(one: Slice, why: NotAvailable) -> SliceReadings:
    """No value of a slice at all."""
    return SliceReadings(one.instance_id, one.lease_id, why, why, why)


def _within(value: float, least: float, most: float) -> float | NotAvailable:
    """The value if it can be true of a board. No number is within nothing."""
    return value if least <= value <= most else NotAvailable(f"NVML answers nonsense: {value:g}")


def _or_why_not(read: Callable[[], _Value | NotAvailable]) -> _Value | NotAvailable:
    """One reading. What fails takes no other reading down."""
    try:
        return read()
    except JupyterMigError as error:
        return NotAvailable(error.message)
