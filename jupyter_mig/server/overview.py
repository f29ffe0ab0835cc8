"""Everything a front end shows, in answers that all its tabs share."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from jupyter_mig.client import Client
from jupyter_mig.errors import BrokerStartFailed, DriverError, JupyterMigError
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import LeaseView, NodeView, ReadingsView

View = TypeVar("View")

FRESH_SECONDS = 0.5
"""How old an answer may be: tabs that ask at about the same time cost one pass."""

HOPELESS = (DriverError, BrokerStartFailed)
HOPELESS_SECONDS = 30.0
"""How long nobody is asked again after such an error."""


class OverviewView(msgspec.Struct, frozen=True):
    """``overview``: the node, the user's leases, and what the slices are doing; None where that
    cannot be read, and why.
    """

    node: NodeView
    leases: list[LeaseView]
    readings: ReadingsView | None
    readings_not_available: str = ""


class Shared(Generic[View]):
    """An answer of the broker's that is asked for once for all who want it meanwhile."""

    def __init__(self, ask: Callable[[], Awaitable[View]]) -> None:
        self._ask = ask
        self._asking: asyncio.Future[View] | None = None
        self._asked_at = 0.0

    def forget(self) -> None:
        """Ask anew next time: something was changed."""
        self._asking = None

    async def now(self, oldest_seconds: float = FRESH_SECONDS) -> View:
        """The answer, at most that old. Raises what the broker's client does."""
        asking = self._asking
        if asking is None or (asking.done() and self._age() > _lasts(asking, oldest_seconds)):
            asking = self._asking = asyncio.ensure_future(self._ask())
            self._asked_at = time.monotonic()
        # One tab that goes away must not take the answer from the others.
        return await asyncio.shield(asking)

    def _age(self) -> float:
        return time.monotonic() - self._asked_at


def _lasts(asked: asyncio.Future[Any], oldest_seconds: float) -> float:
    """For how long an answer is good. Where there is no driver, each question would start a broker
    that ends at once.
    """
    hopeless = not asked.cancelled() and isinstance(asked.exception(), HOPELESS)
    return HOPELESS_SECONDS if hopeless else oldest_seconds


class Packed(NamedTuple):
    """An overview as it travels."""

    view: OverviewView
    plain: bytes
    gzipped: bytes


class MIGOverview(Shared[OverviewView]):
    """The overview."""

    def __init__(self, client: Client) -> None:
        super().__init__(self._all)
        self._client = client
        self._packed: Packed | None = None

    async def packed(self) -> Packed:
        """The overview now, packed once for all tabs that get it."""
        view = await self.now()
        if self._packed is None or self._packed.view is not view:
            plain = codec.encode(view)
            self._packed = Packed(view, plain, gzip.compress(plain, 1))
        return self._packed

    async def _all(self) -> OverviewView:
        node, leases = await asyncio.gather(self._client.node(), self._client.leases())
        try:
            return OverviewView(node, leases, await self._client.readings())
        except JupyterMigError as error:
            return OverviewView(node, leases, None, error.message)
