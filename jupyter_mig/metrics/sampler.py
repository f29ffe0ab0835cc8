"""The one place where a broker reads its slices, however many people look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from jupyter_mig.metrics.exporter import NO_EXPORTER, Exported, Exporter
from jupyter_mig.metrics.gpu_reader import GpuPass, GpuReader, nothing_of
from jupyter_mig.metrics.history import History, Point
from jupyter_mig.metrics.meter import Meter
from jupyter_mig.metrics.readings import GpuReadings, NotAvailable, Readings
from jupyter_mig.metrics.subjects import Life, Slice, Subjects
from jupyter_mig.metrics.threads import on_a_thread

FRESH_SECONDS = 1.0
"""Readings younger than this are given again instead of being taken again."""

PATIENCE_SECONDS = 5.0
"""How long a GPU is waited for. Making an instance on it takes less."""

NO_ANSWER = NotAvailable("the driver does not answer")


class Sampler:
    """Takes readings when somebody asks, one pass at a time; never when nobody does. ``patience``
    is that with a GPU, in seconds.
    """

    def __init__(
        self,
        meter: Meter,
        exporter: Exporter | None = None,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._meter = meter
        self._exporter = exporter
        self._clock = clock
        self._patience = patience
        self._turn = asyncio.Lock()
        self._readers: dict[str, GpuReader] = {}
        self._under_way: dict[str, asyncio.Future[GpuPass]] = {}
        self._history = History()
        self._last = Readings(float("-inf"))
        self._last_lives: frozenset[tuple[Life, bool]] | None = None

    async def readings(
        self, subjects: Callable[[], Subjects], fresh_seconds: float = FRESH_SECONDS
    ) -> tuple[Readings, float]:
        """Readings and their age, at most ``fresh_seconds``. All who ask meanwhile share a pass.

        ``subjects`` tells, when a pass begins, what there is to read. When a slice has changed
        hands, what was read of it before is not given any more.
        """
        # Whoever leaves must not end the pass that others wait for.
        return await asyncio.shield(self._in_turn(subjects, fresh_seconds))

    def history(self, lease_id: str) -> tuple[tuple[Point, float], ...]:
        """The last minutes of a lease, with the age of each point in seconds; the oldest first."""
        points = self._history.of(lease_id, self._clock())
        return tuple((one, self._age(one.taken_at_seconds)) for one in points)

    async def _in_turn(
        self, subjects: Callable[[], Subjects], fresh_seconds: float
    ) -> tuple[Readings, float]:
        async with self._turn:
            now_there = subjects()
            old = self._age(self._last.taken_at_seconds) >= fresh_seconds
            if old or self._last_lives != now_there.lives:
                self._last = await self._take(now_there)
                self._last_lives = now_there.lives
                self._history.add(self._last)
            return self._last, self._age(self._last.taken_at_seconds)

    def _age(self, taken_at_seconds: float) -> float:
        return max(self._clock() - taken_at_seconds, 0.0)

    async def _take(self, subjects: Subjects) -> Readings:
        exported = NO_EXPORTER
        if self._exporter is not None and subjects.slices:
            exported = await self._exporter.exported()
        by_gpu = subjects.by_gpu
        begun = [self._begin(gpu, slices, exported) for gpu, slices in by_gpu.items()]
        new = [one for one in begun if one is not None]
        if new:
            await asyncio.wait(new, timeout=self._patience)
        passes = [self._outcome(gpu, slices) for gpu, slices in by_gpu.items()]
        return Readings(
            self._clock(),
            tuple(one for found in passes for one in found.slices),
            tuple(found.gpu for found in passes),
        )

    def _begin(
        self, gpu: str, slices: tuple[Slice, ...], exported: Exported
    ) -> asyncio.Future[GpuPass] | None:
        """Begin to read a GPU, unless it has not answered since it was read before."""
        if gpu in self._under_way and not self._under_way[gpu].done():
            return None
        reader = self._readers.setdefault(gpu, GpuReader(gpu, self._meter, self._clock))
        self._under_way[gpu] = on_a_thread(partial(reader.read, slices, exported))
        return self._under_way[gpu]

    def _outcome(self, gpu: str, slices: tuple[Slice, ...]) -> GpuPass:
        """What was found; of a GPU that does not answer, that."""
        found = self._under_way[gpu]
        if found.done():
            return found.result()
        return GpuPass(
            GpuReadings(gpu, NO_ANSWER, NO_ANSWER),
            tuple(nothing_of(one, NO_ANSWER) for one in slices),
        )
