"""Jupyter's list of kernels that are being started.

``MultiKernelManager._pending_kernels`` holds a start until it has succeeded. Whoever stops that
kernel first waits for the start, so a start that waits for a slice could not be given up; and one
that failed stays listed for good, so that the first SIGTERM no longer ends the server
(jupyter_client#960). So a start that may wait is represented there by one that ends when asked
for, and one that failed is not listed. There is no public way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

SOON_SECONDS = 1.0
"""A start that does not wait in line has its slice by then, mostly; it is let finish."""


class Wait:
    """A start that may have to wait for a slice, as Jupyter sees it while it does."""

    def __init__(self, kernel_manager: Any, start: asyncio.Future[Any]) -> None:
        self._kernel_manager = kernel_manager
        self._start = start
        self._in_line = asyncio.Event()

    def in_line(self) -> None:
        """From now on it is known that others have to end first."""
        self._in_line.set()

    def cancel(self) -> None:
        """Give the start up."""
        self._start.cancel()

    def __await__(self) -> Generator[Any, None, None]:
        """What Jupyter does before it stops a kernel that is being started."""
        return self._end().__await__()

    async def _end(self) -> None:
        line = asyncio.ensure_future(self._in_line.wait())
        both: set[asyncio.Future[Any]] = {self._start, line}
        await asyncio.wait(both, timeout=SOON_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        line.cancel()
        if not self._start.done():
            self._give_up()

    def _give_up(self) -> None:
        manager = self._kernel_manager
        if manager.parent.use_pending_kernels:
            # Jupyter takes a cancelled start as one that can be stopped, which ends it.
            manager.ready.cancel()
            raise asyncio.CancelledError
        self._start.cancel()
        raise LookupError("The kernel's start was given up: there is nothing to stop.")


def forget(kernel_manager: Any, kernel_id: str) -> Any:
    """Take the start off the list; what was there, if anything."""
    listed = getattr(getattr(kernel_manager, "parent", None), "_pending_kernels", {})
    return listed.pop(kernel_id, None)


@contextmanager
def waiting(kernel_manager: Any, kernel_id: str) -> Iterator[Wait | None]:
    """Another entry on the list while it waits; its own again to be launched, none if it failed.

    None: there is no list.
    """
    start = forget(kernel_manager, kernel_id)
    if start is None:
        yield None
        return
    listed = kernel_manager.parent._pending_kernels  # noqa: SLF001
    listed[kernel_id] = wait = Wait(kernel_manager, start)
    try:
        yield wait
    finally:
        listed.pop(kernel_id, None)
    listed[kernel_id] = start
