"""Watching the processes that leases hang on.

A holder is written ``pid:start`` with the start time in clock ticks since boot. Its end is heard
through a pidfd, which is readable once the process has exited (zombies included) and, unlike a
pid, can never come to mean another process; a supervisor keeps them for the next broker. Holders
that are no process we can see are known by their :mod:`.heartbeats`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.holders.heartbeats import Heartbeats, is_heartbeat
from jupyter_mig.broker.processes import Process
from jupyter_mig.broker.supervisor import Supervisor, Unsupervised
from jupyter_mig.core.leases import Holder

log = logging.getLogger(__name__)


def holder_of(process: Process) -> Holder:
    """A process as the ledger names it."""
    return Holder(f"{process.pid}:{process.started_ticks}")


def pid_of(holder: Holder) -> int:
    """The pid in the name of a holder that is a process."""
    return int(holder.partition(":")[0])


def name_of(holder: Holder) -> str:
    """What a supervisor calls the pidfd of a holder; no colon may be in it."""
    return f"p{holder.replace(':', '-')}"


def require_pidfd() -> None:
    """Raise BrokerStartFailed on a kernel without pidfds: then no lease could be kept safely."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        raise errors.BrokerStartFailed(
            "The broker cannot watch processes on this kernel",
            situation=f"pidfd_open says: {error.strerror}.",
            next_step="Linux 5.3 or newer is needed, and a container that allows pidfd_open.",
        ) from error


class Holders:
    """The holders watched now. ``left`` is called, on the loop, once for each that is gone; those
    known by heartbeats are after ``silence_seconds``, or up to the ``longest_silence_seconds``.
    """

    def __init__(
        self,
        left: Callable[[Holder], None],
        silence_seconds: float = 60.0,
        supervisor: Supervisor | None = None,
        *,
        longest_silence_seconds: float = 60.0,
    ) -> None:
        self.heartbeats = Heartbeats(left, silence_seconds, longest_silence_seconds)
        self._left = left
        self._supervisor = supervisor or Unsupervised()
        self._handed_over = dict(self._supervisor.left())
        self._pidfds: dict[Holder, int] = {}
        self._gone: set[Holder] = set()

    @property
    def anybody_lives(self) -> bool:
        """Whether one of those watched has not left."""
        return bool(self._pidfds) or self.heartbeats.anybody_lives

    def watch(self, wanted: set[Holder]) -> None:
        """Watch exactly these from now on."""
        beating = set(filter(is_heartbeat, wanted))
        self.heartbeats.watch(beating)
        wanted = wanted - beating
        for holder in self._pidfds.keys() - wanted:
            self._forget(holder)
            self._supervisor.forget(name_of(holder))
        for holder in wanted - self._pidfds.keys() - self._gone:
            self._begin(holder)

    def heard(self, holder: Holder) -> None:
        """The ledger knows that a holder is gone. If it is wanted again, it is reported again."""
        self._gone.discard(holder)
        self.heartbeats.heard(holder)

    def forget_others(self) -> None:
        """What is left of the holders of the broker before belongs to leases that are over."""
        for name, pidfd in self._handed_over.items():
            os.close(pidfd)
            self._supervisor.forget(name)
        self._handed_over = {}

    def close(self) -> None:
        """Watch nobody; what a supervisor keeps is the next broker's."""
        self.heartbeats.watch(set())
        for holder in list(self._pidfds):
            self._forget(holder)

    def _begin(self, holder: Holder) -> None:
        pidfd = self._handed_over.pop(name_of(holder), None)
        if pidfd is None:
            pidfd = self._opened(holder)
            if pidfd is None:
                return
            self._supervisor.keep(name_of(holder), pidfd)
        self._pidfds[holder] = pidfd
        asyncio.get_running_loop().add_reader(pidfd, self._ended, holder)

    def _opened(self, holder: Holder) -> int | None:
        """A pidfd of that very process; None if it is gone, which is reported, or cannot be had."""
        pid, _, started_ticks = holder.partition(":")
        try:
            pidfd = os.pidfd_open(int(pid))
        except ProcessLookupError:
            self._report(holder)
            return None
        except OSError as error:  # no descriptor left: it is tried again after the next event
            log.error("Cannot watch process %s: %s", pid, error)  # noqa: TRY400 - no bug
            return None
        # Looked at after the pidfd is open, or the pid might pass on in between.
        process = processes.find(int(pid))
        if process is None or process.started_ticks != int(started_ticks):
            os.close(pidfd)
            self._report(holder)
            return None
        return pidfd

    def _ended(self, holder: Holder) -> None:
        self._forget(holder)
        self._supervisor.forget(name_of(holder))
        self._report(holder)

    def _report(self, holder: Holder) -> None:
        self._gone.add(holder)
        self._left(holder)

    def _forget(self, holder: Holder) -> None:
        pidfd = self._pidfds.pop(holder)
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
