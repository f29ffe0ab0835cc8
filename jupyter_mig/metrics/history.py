"""The last minutes of each lease, for sparklines."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

import msgspec

from jupyter_mig.metrics.readings import Memory, Readings, SliceReadings, Utilization

STEP_SECONDS = 5.0
"""Points of one lease are at least so far apart."""

KEPT_SECONDS = 900.0
MOST_POINTS = int(KEPT_SECONDS / STEP_SECONDS) + 1


class Point(msgspec.Struct, frozen=True):
    """A slice at one moment on the sampler's clock. ``utilization_percent`` is of compute."""

    taken_at_seconds: float
    memory_used_bytes: int | None
    utilization_percent: float | None


class History:
    """Points by lease, so that nobody sees the tenant before. What is over is forgotten."""

    def __init__(self) -> None:
        self._points: dict[str, deque[Point]] = {}

    def add(self, readings: Readings) -> None:
        """Keep what was read of leased slices, if the last point of a lease is old enough."""
        leased = {one.lease_id: one for one in readings.slices if one.lease_id is not None}
        self.keep_only(leased)
        for lease_id, one in leased.items():
            points = self._points.setdefault(lease_id, deque(maxlen=MOST_POINTS))
            if (
                not points
                or readings.taken_at_seconds - points[-1].taken_at_seconds >= STEP_SECONDS
            ):
                points.append(_point(readings.taken_at_seconds, one))

    def keep_only(self, lease_ids: Collection[str]) -> None:
        """Forget all other leases."""
        for over in self._points.keys() - set(lease_ids):
            del self._points[over]

    def of(self, lease_id: str, now: float) -> tuple[Point, ...]:
        """The last minutes of a lease, the oldest point first."""
        points = self._points.get(lease_id, ())
        return tuple(one for one in points if now - one.taken_at_seconds <= KEPT_SECONDS)


def _point(taken_at_seconds: float, one: SliceReadings) -> Point:
    memory, utilization = one.memory, one.utilization
    return Point(
        taken_at_seconds,
        memory.used_bytes if isinstance(memory, Memory) else None,
        utilization.of_compute if isinstance(utilization, Utilization) else None,
    )
