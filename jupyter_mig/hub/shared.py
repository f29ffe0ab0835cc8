"""One answer for many who ask within a short time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Kind = TypeVar("Kind")


class Shared(Generic[Kind]):
    """Ask at most once in ``seconds``, and once for all who wait. An error is not kept."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[Kind]],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._asked: asyncio.Future[Kind] | None = None
        self._until = 0.0

    async def __call__(self) -> Kind:
        """The answer, as old as that at the most."""
        if self._asked is None or self._is_over(self._asked):
            self._asked = asyncio.ensure_future(self._ask())
            self._until = self._clock() + self._seconds
        return await asyncio.shield(self._asked)

    def _is_over(self, asked: asyncio.Future[Kind]) -> bool:
        if not asked.done():
            return False
        return asked.cancelled() or asked.exception() is not None or self._until <= self._clock()
