"""The REST door for front ends, below ``jupyter-mig/api``. JSON as on the broker's own door."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_mig.errors import JupyterMigError
from jupyter_mig.server.overview import MIGOverview
from jupyter_mig.server.starts import MIGStarts
from jupyter_mig.wire.messages import ErrorBody

SETTING = "jupyter_mig_starts"
OVERVIEW = "jupyter_mig_overview"


class MIGHandler(APIHandler):
    """Base: whom to ask, and how to answer."""

    auth_resource = "jupyter_mig"

    @property
    def starts(self) -> MIGStarts:
        """The server's waiting starts, with the client that all share."""
        found: MIGStarts = self.settings[SETTING]
        return found

    @property
    def overview(self) -> MIGOverview:
        """What all tabs share."""
        found: MIGOverview = self.settings[OVERVIEW]
        return found

    async def answer(self, view: Awaitable[Any]) -> None:
        """Finish with the view as JSON, or with the error."""
        try:
            body = await view
        except JupyterMigError as error:
            self.set_status(error.status)
            body = ErrorBody(error.kind, error.message, error.situation, error.next_step)
        await self.finish(msgspec.json.encode(body))


class NodeHandler(MIGHandler):
    """``node``: GPUs, sizes, what is free."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer the broker's ``NodeView``."""
        await self.answer(self.starts.client.node())


class LeasesHandler(MIGHandler):
    """``leases``: who waits and who holds what."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer the user's ``LeaseView``s."""
        await self.answer(self.starts.client.leases())


class OverviewHandler(MIGHandler):
    """``overview``: all of it in one answer, which tabs that ask at the same time share."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer the ``OverviewView``."""
        await self.answer(self.overview.now())


class StartHandler(MIGHandler):
    """``leases/KERNEL_ID``: a kernel that waits for its slice."""

    @web.authenticated
    @authorized
    async def delete(self, kernel_id: str) -> None:
        """Call the wait off. A kernel that has its slice is left alone."""
        await self.answer(self.starts.cancel(kernel_id))
        self.overview.forget()


HANDLERS: list[tuple[str, type[MIGHandler]]] = [
    (r"api/node", NodeHandler),
    (r"api/leases", LeasesHandler),
    (r"api/overview", OverviewHandler),
    (r"api/leases/(\w+-\w+-\w+-\w+-\w+)", StartHandler),
]
