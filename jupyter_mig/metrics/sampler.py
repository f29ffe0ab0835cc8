"""The one place where a broker reads its slices, however many people look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from jupyter_mig.core.geometry import Identity
from jupyter_mig.errors import JupyterMigError, NotSupported
from jupyter_mig.metrics.exporter import VARIABLE, Exported, Exporter
from jupyter_mig.metrics.history import History, Point
from jupyter_mig.metrics.meter import Meter
from jupyter_mig.metrics.readings import (
    NVML,
    GpuReadings,
    Memory,
    NotAvailable,
    Readings,
    SliceReadings,
    Utilization,
    sensible,
)
from jupyter_mig.metrics.subjects import Life, Slice, Subjects
from jupyter_mig.metrics.windows import Windows

FRESH_SECONDS = 1.0
"""Readings younger than this are given again instead of being taken again."""

BEING_MADE = NotAvailable("it is being made")
NO_EXPORTER = Exported(
    problem=f"this GPU tells the utilization of its slices through DCGM only: set {VARIABLE}"
)

_Value = TypeVar("_Value")


class Sampler:
    """Takes readings when somebody asks, one pass at a time; never when nobody does."""

    def __init__(
        self,
        meter: Meter,
        exporter: Exporter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._meter = meter
        self._exporter = exporter
        self._clock = clock
        self._turn = asyncio.Lock()
        self._windows = Windows(meter, clock)
        self._history = History()
        self._last: Readings | None = None
        self._last_lives: frozenset[tuple[Life, bool]] | None = None

    async def readings(
        self, subjects: Callable[[], Subjects], fresh_seconds: float = FRESH_SECONDS
    ) -> tuple[Readings, float]:
        """Readings and their age, at most ``fresh_seconds``. All who ask meanwhile share a pass.

        ``subjects`` tells, when a pass begins, what there is to read. When a slice has changed
        hands, what was read of it before is not given any more.
        """
        async with self._turn:
            now_there = subjects()
            last = self._last
            changed = self._last_lives != now_there.lives
            if last is None or changed or self._age(last.taken_at_seconds) >= fresh_seconds:
                last = self._last = await self._take(now_there)
                self._last_lives = now_there.lives
            return last, self._age(last.taken_at_seconds)

    def history(self, lease_id: str) -> tuple[tuple[Point, float], ...]:
        """The last minutes of a lease, with the age of each point in seconds; the oldest first."""
        points = self._history.of(lease_id, self._clock())
        return tuple((one, self._age(one.taken_at_seconds)) for one in points)

    def _age(self, taken_at_seconds: float) -> float:
        return max(self._clock() - taken_at_seconds, 0.0)

    async def _take(self, subjects: Subjects) -> Readings:
        exported = NO_EXPORTER
        if self._exporter is not None and subjects.slices:
            exported = await self._exporter.exported()
        readings = await asyncio.to_thread(self._pass, subjects, exported)
        self._history.add(readings)
        return readings

    # -- one pass, on a thread

    def _pass(self, subjects: Subjects, exported: Exported) -> Readings:
        self._windows.keep_only({one.life for one in subjects.slices})
        return Readings(
            self._clock(),
            tuple(self._slice(one, exported) for one in subjects.slices),
            tuple(self._gpu(uuid) for uuid in subjects.gpu_uuids),
        )

    def _slice(self, one: Slice, exported: Exported) -> SliceReadings:
        identity = one.identity
        if identity is None:
            return SliceReadings(one.instance_id, one.lease_id, BEING_MADE, BEING_MADE, BEING_MADE)
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

    def _gpu(self, uuid: str) -> GpuReadings:
        return GpuReadings(
            uuid,
            _or_why_not(lambda: _within(self._meter.power_watts(uuid), 0, 10_000)),
            _or_why_not(lambda: _within(self._meter.temperature_celsius(uuid), -60, 200)),
        )


def _within(value: float, least: float, most: float) -> float | NotAvailable:
    """The value if it can be true of a board. No number is within nothing."""
    return value if least <= value <= most else NotAvailable(f"NVML answers nonsense: {value:g}")


def _or_why_not(read: Callable[[], _Value | NotAvailable]) -> _Value | NotAvailable:
    """One reading. What fails takes no other reading down."""
    try:
        return read()
    except JupyterMigError as error:
        return NotAvailable(error.message)
