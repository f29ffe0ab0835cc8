"""Saying that a lease's holder lives, where the broker cannot see it.

On a thread of its own: whoever asked may run its event loop only while it asks (blocking clients,
consoles). The thread dies with the process, and with it the leases.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import threading
import time
from collections.abc import Awaitable, Callable

from jupyter_mig import errors
from jupyter_mig.wire.messages import LeaseView

log = logging.getLogger(__name__)

_OVER = (errors.UnknownLease, errors.LeaseEnded)


class _Kept:
    """One lease. ``pidfd`` is of its kernel's process once there is one."""

    def __init__(self, interval_seconds: float, pidfd: int | None) -> None:
        self.interval_seconds = interval_seconds
        self.due = time.monotonic() + interval_seconds
        self._pidfd = pidfd

    @property
    def lives(self) -> bool:
        """Whether its kernel has not ended."""
        if self._pidfd is None:
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Watch it no more."""
        if self._pidfd is not None:
            os.close(self._pidfd)


class Heartbeats:
    """The leases of this process that need them. ``beat`` says so to the broker for one lease."""

    def __init__(self, beat: Callable[[str], Awaitable[object]]) -> None:
        self._beat = beat
        self._kept: dict[str, _Kept] = {}
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None

    def follow(self, lease: LeaseView, kernel_pid: int | None = None) -> None:
        """Begin, go on, or stop, as the lease looks now; ``kernel_pid`` is the process, here, in
        which its kernel runs from now on.
        """
        if lease.heartbeat_seconds is None or lease.state in ("released", "draining"):
            self.forget(lease.lease_id)
            return
        try:
            pidfd = os.pidfd_open(kernel_pid) if kernel_pid is not None else None
        except ProcessLookupError:  # it has ended already
            self.forget(lease.lease_id)
            return
        except OSError as error:  # then we speak until the lease is given back
            log.warning("Kernel %s cannot be watched: %s", kernel_pid, error.strerror)
            pidfd = None
        self._put(lease.lease_id, _Kept(lease.heartbeat_seconds, pidfd))

    def forget(self, lease_id: str) -> None:
        """A lease is over."""
        self._put(lease_id, None)

    def close(self) -> None:
        """Say nothing any more."""
        for lease_id in list(self._kept):
            self.forget(lease_id)

    def _put(self, lease_id: str, kept: _Kept | None) -> None:
        with self._news:
            before = self._kept.pop(lease_id, None)
            if kept is not None:
                self._kept[lease_id] = kept
                self._require_thread()
            self._news.notify()
        if before is not None:
            before.close()

    def _require_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        """Until there is nothing left to speak for."""
        while True:
            with self._news:
                if not self._kept:
                    self._thread = None
                    return
                lease_id, kept = min(self._kept.items(), key=lambda item: item[1].due)
                seconds = kept.due - time.monotonic()
                if seconds > 0:
                    self._news.wait(seconds)
                    continue
                kept.due += kept.interval_seconds
                lives = kept.lives
            if lives:
                asyncio.run(self._say(lease_id))

    async def _say(self, lease_id: str) -> None:
        try:
            await self._beat(lease_id)
        except _OVER:
            self.forget(lease_id)
        except errors.JupyterMigError as error:
            log.warning("Lease %s: the broker was not told that it lives: %s", lease_id, error)
