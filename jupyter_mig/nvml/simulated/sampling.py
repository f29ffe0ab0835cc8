"""One sample of what the processes on an instance have used.

Simulated utilization follows the processes shown on the instance (CUDA clients and mirrors): the
processor time that their trees used between two samples, of one processor's, at most all of it.
Only processes that are there at both samples count.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from .processes import Process, processor_seconds_of_tree
from .silicon import GpuInstance, Silicon


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


def shown(now: Silicon, instances: Iterable[GpuInstance]) -> list[Process]:
    """The processes on GPU instances."""
    serials = {compute.serial for one in instances for compute in one.compute_instances}
    clients = [one.process for one in now.clients if one.compute_serial in serials]
    mirrors = [one.process for one in now.mirrors if one.compute_serial in serials]
    return clients + mirrors


def taken(processes: Iterable[Process]) -> Sample:
    """What they have used by now."""
    used = {process: processor_seconds_of_tree(process.pid) for process in processes}
    return Sample(time.monotonic(), used)
