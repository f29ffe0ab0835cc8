"""One answer of the broker's for many who ask within a short time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from jupyter_mig.errors import BrokerStartFailed, DriverError

View = TypeVar("View")

HOPELESS = (DriverError, BrokerStartFailed)
HOPELESS_SECONDS = 30.0
"""How long nobody is asked again after such an error."""


class Shared(Generic[View]):
    """An answer of the broker's that is asked for once for all who want it meanwhile.
    ``oldest_seconds`` is how old it may be.
    """

    def __init__(self, ask: Callable[[], Awaitable[View]], oldest_seconds: float) -> None:
        self._ask = ask
        self._oldest_seconds = oldest_seconds
        self._asking: asyncio.Future[View] | None = None
        self._asked_at = 0.0

    def forget(self) -> None:
        """Ask anew next time: something was changed."""
        self._asking = None

    async def now(self, oldest_seconds: float | None = None) -> View:
        """The answer, at most that old if it is said. Raises what the broker's client does."""
        oldest = self._oldest_seconds if oldest_seconds is None else oldest_seconds
        asking = self._asking
        if asking is None or (asking.done() and self._age() > _lasts(asking, oldest)):
            asking = self._asking = asyncio.ensure_future(self._ask())
            self._asked_at = time.monotonic()
        # One who goes away must not take the answer from the others.
        return await asyncio.shield(asking)

    def _age(self) -> float:
        return time.monotonic() - self._asked_at


def _lasts(asked: asyncio.Future[Any], oldest_seconds: float) -> float:
    """For how long an answer is good. Where there is no driver, each question would start a broker
    that ends at once.
    """
    hopeless = not asked.cancelled() and isinstance(asked.exception(), HOPELESS)
    return HOPELESS_SECONDS if hopeless else oldest_seconds
