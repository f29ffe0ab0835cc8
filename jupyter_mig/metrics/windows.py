"""How busy slices were from one look to the next.

Performance counters only mean something in pairs. The earlier one of a pair is kept by the life
of its slice, so that the next tenant's first look is not measured against the former one's last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from jupyter_mig.core.geometry import Identity
from jupyter_mig.errors import NotFound
from jupyter_mig.metrics.meter import Meter
from jupyter_mig.metrics.readings import GPM, NotAvailable, Utilization, sensible
from jupyter_mig.metrics.subjects import Life, Slice

SHORTEST_SECONDS = 0.5
"""Looks closer than this share a result: NVML wants at least 0.1 s between two samples."""

LONGEST_SECONDS = 120.0
"""The mean over longer than this is no answer to what a slice is doing now."""

FIRST_LOOK = NotAvailable("it is measured between two looks, and this is the first")
ANEW = NotAvailable("the instance was made anew since the last look")


class Window(NamedTuple):
    """The counters kept of one life, when they were taken, and what came out then."""

    gpu_uuid: str
    number: int
    taken_at_seconds: float
    result: Utilization | NotAvailable


class Windows:
    """The windows of all slices. Its calls block; one thread at a time."""

    def __init__(self, meter: Meter, clock: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._clock = clock
        self._open: dict[Life, Window] = {}

    def utilization(self, one: Slice, identity: Identity) -> Utilization | NotAvailable:
        """How busy the slice was since it was looked at before. Raises what the driver raises,
        NotSupported where the GPU has no counters.
        """
        former, now = self._open.get(one.life), self._clock()
        if former is not None and now - former.taken_at_seconds < SHORTEST_SECONDS:
            return former.result
        number = self._meter.keep_counters(one.gpu_uuid, identity)
        self._open[one.life] = Window(one.gpu_uuid, number, now, FIRST_LOOK)
        if former is None:
            return FIRST_LOOK
        try:
            result = self._since(former, number, now)
        finally:
            self._meter.forget_counters(one.gpu_uuid, former.number)
        self._open[one.life] = Window(one.gpu_uuid, number, now, result)
        return result

    def keep_only(self, lives: Collection[Life]) -> None:
        """Forget the windows of lives that are over."""
        for life in self._open.keys() - set(lives):
            window = self._open.pop(life)
            self._meter.forget_counters(window.gpu_uuid, window.number)

    def _since(self, former: Window, number: int, now: float) -> Utilization | NotAvailable:
        if now - former.taken_at_seconds > LONGEST_SECONDS:
            return FIRST_LOOK
        try:
            percent = self._meter.percent_between(former.gpu_uuid, former.number, number)
        except NotFound:
            return ANEW
        return sensible(percent, GPM)
