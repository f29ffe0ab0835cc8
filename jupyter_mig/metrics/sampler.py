"""The one place where a broker reads its slices, however many people look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from jupyter_mig.core.geometry import Identity
from jupyter_mig.errors import JupyterMigError
from jupyter_mig.metrics.readings import Memory, NotAvailable, Readings, SliceReadings

FRESH_SECONDS = 1.0
"""Readings younger than this are given again instead of being taken again."""


class Meter(Protocol):
    """What the sampler asks of a driver."""

    def memory(self, identity: Identity) -> tuple[int, int]:
        """Bytes used and bytes in all of the instance. Blocks."""


class Sampler:
    """Takes readings when somebody asks, one pass at a time; never when nobody does."""

    def __init__(self, meter: Meter, clock: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._clock = clock
        self._turn = asyncio.Lock()
        self._last: Readings | None = None

    async def readings(
        self, instances: Callable[[], Mapping[str, Identity | None]]
    ) -> tuple[Readings, float]:
        """The readings and their age in seconds. All who ask meanwhile share one pass.

        ``instances`` tells, when a pass begins, what there is to read, by the ledger's names;
        those without an identity are being made.
        """
        async with self._turn:
            if self._last is None or self._age(self._last) >= FRESH_SECONDS:
                self._last = await asyncio.to_thread(self._pass, dict(instances()))
            return self._last, self._age(self._last)

    def _age(self, readings: Readings) -> float:
        return max(self._clock() - readings.taken_at_seconds, 0.0)

    def _pass(self, instances: Mapping[str, Identity | None]) -> Readings:
        slices = tuple(
            SliceReadings(instance_id, self._memory(identity))
            for instance_id, identity in instances.items()
        )
        return Readings(self._clock(), slices)

    def _memory(self, identity: Identity | None) -> Memory | NotAvailable:
        if identity is None:
            return NotAvailable("it is being made")
        try:
            used_bytes, total_bytes = self._meter.memory(identity)
        except JupyterMigError as error:
            return NotAvailable(error.message)
        return Memory(used_bytes, total_bytes)
