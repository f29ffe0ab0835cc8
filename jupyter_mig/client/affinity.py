"""What is started on a slice may use the CPUs near its GPU, and no others.

Of those that it could use anyway: what an administrator, a batch system or a container has set is
narrowed, never widened, and where nothing would be left it stays. Memory needs no setting: Linux
takes it from the NUMA node of the CPU that first touches it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from jupyter_mig.client.settings import Settings
from jupyter_mig.core import cpus
from jupyter_mig.wire.messages import SliceView

log = logging.getLogger(__name__)


def near(mine: SliceView | None, settings: Settings) -> frozenset[int]:
    """The CPUs near a slice that this thread may use; none: nothing is to be set.

    A broker that is reached by TCP may be on another machine, whose CPUs say nothing of ours.
    Containers on the broker's machine count CPUs as it does.
    """
    if mine is None or settings.remote is not None:
        return frozenset()
    try:
        return cpus.parse(mine.near_cpus) & os.sched_getaffinity(0)
    except ValueError:
        log.warning("The broker names CPUs that cannot be read: %.80r", mine.near_cpus)
        return frozenset()


def restrict(pid: int, to: frozenset[int]) -> None:
    """Let a process that has one thread (0: this thread) use those CPUs alone, and what it starts;
    with none leave it as it is. A kernel that refuses is no reason not to run.
    """
    if not to:
        return
    try:
        os.sched_setaffinity(pid, to)
    except OSError as error:
        log.debug("CPUs %s were not set: %s", cpus.listed(to), error.strerror)


@contextmanager
def inherited(to: frozenset[int]) -> Iterator[None]:
    """While this lasts, what this thread starts may use those CPUs alone, from its first moment.

    No awaiting inside: what else the thread then starts would inherit them, too.
    """
    if not to:
        yield
        return
    before = os.sched_getaffinity(0)
    restrict(0, to)
    try:
        yield
    finally:
        restrict(0, frozenset(before))
