"""Those who wait to hear that a lease has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple


class _Waiter(NamedTuple):
    lease_id: str
    seen: int
    heard: asyncio.Future[None]


class Waiters:
    """Long polls, each on one version of one lease."""

    def __init__(self) -> None:
        self._waiting: set[_Waiter] = set()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def changed(self, lease_id: str, seen: int) -> None:
        """Return once the version of a lease is no longer ``seen``; cancel it to stop waiting."""
        waiter = _Waiter(lease_id, seen, asyncio.get_running_loop().create_future())
        self._waiting.add(waiter)
        try:
            await waiter.heard
        finally:
            self._waiting.discard(waiter)

    def tell(self, version_of: Callable[[str], int | None]) -> None:
        """Let those go on whose lease has another version now, or is forgotten."""
        for waiter in self._waiting:
            if version_of(waiter.lease_id) != waiter.seen and not waiter.heard.done():
                waiter.heard.set_result(None)
