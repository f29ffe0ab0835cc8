"""One sample of what the processes on an instance have used."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from .processes import Process


class Sample(NamedTuple):
    """When it was taken, and the processor seconds each process tree had used by then."""

    monotonic_seconds: float | None = None
    used_seconds: Mapping[Process, float] = MappingProxyType({})

    @property
    def is_taken(self) -> bool:
        """Whether it holds anything yet."""
        return self.monotonic_seconds is not None

    def busy_percent_until(self, later: Sample) -> float:
        """How busy one processor was in between; at most 100, and 0 over no time."""
        elapsed = (later.monotonic_seconds or 0) - (self.monotonic_seconds or 0)
        if elapsed <= 0:
            return 0.0
        used = sum(
            seconds - self.used_seconds[process]
            for process, seconds in later.used_seconds.items()
            if process in self.used_seconds
        )
        return min(100.0, max(0.0, 100 * used / elapsed))
