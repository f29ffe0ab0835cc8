"""Everything a front end shows, in answers that all its tabs share."""

from __future__ import annotations

import asyncio
import gzip
from typing import NamedTuple

import msgspec

from jupyter_mig.client import Client
from jupyter_mig.client.shared import Shared
from jupyter_mig.errors import JupyterMigError
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import LeaseView, NodeView, ReadingsView

FRESH_SECONDS = 0.5
"""How old an answer may be: tabs that ask at about the same time cost one pass."""


class OverviewView(msgspec.Struct, frozen=True):
    """``overview``: the node, the user's leases, and what the slices are doing; None where that
    cannot be read, and why.
    """

    node: NodeView
    leases: list[LeaseView]
    readings: ReadingsView | None
    readings_not_available: str = ""


class Packed(NamedTuple):
    """An overview as it travels."""

    view: OverviewView
    plain: bytes
    gzipped: bytes


class MIGOverview(Shared[OverviewView]):
    """The overview."""

    def __init__(self, client: Client) -> None:
        super().__init__(self._all, FRESH_SECONDS)
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
