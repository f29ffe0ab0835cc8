"""The REST door for front ends, below ``jupyter-mig/api``. JSON as on the broker's own door."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_mig.client.shared import Shared
from jupyter_mig.errors import JupyterMigError
from jupyter_mig.server.overview import MIGOverview
from jupyter_mig.server.starts import MIGStarts
from jupyter_mig.server.switches import MIGSwitches, SwitchFailed
from jupyter_mig.server.targets import SizeRequest
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import ErrorBody, HistoryView

SETTING = "jupyter_mig_starts"
OVERVIEW = "jupyter_mig_overview"
SWITCHES = "jupyter_mig_switches"
HISTORY = "jupyter_mig_history"


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
            await self.refuse(error)
        else:
            await self.finish(codec.encode(body))

    async def refuse(self, error: JupyterMigError) -> None:
        """Finish with the error."""
        self.set_status(error.status)
        await self.finish(codec.encode(codec.body_of(error)))


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
        """Answer the ``OverviewView``, compressed for those who take it so."""
        try:
            packed = await self.overview.packed()
        except JupyterMigError as error:
            await self.refuse(error)
            return
        self.set_header("Vary", "Accept-Encoding")
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            await self.finish(packed.gzipped)
        else:
            await self.finish(packed.plain)


class HistoryHandler(MIGHandler):
    """``history``: the last minutes of the user's slices; shared by tabs, as the overview is."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer the ``HistoryView``."""
        history: Shared[HistoryView] = self.settings[HISTORY]
        await self.answer(history.now())


class StartHandler(MIGHandler):
    """``leases/KERNEL_ID``: a kernel that waits for its slice."""

    @web.authenticated
    @authorized
    async def delete(self, kernel_id: str) -> None:
        """Call the wait off. A kernel that has its slice is left alone."""
        await self.answer(self.starts.cancel(kernel_id))
        self.overview.forget()


class RestoredBody(ErrorBody, frozen=True):
    """An error after which the old size was started again, as the kernel ``kernel_id``."""

    kernel_id: str = ""


class SizeHandler(MIGHandler):
    """``kernels/KERNEL_ID/size``: the size of a kernel's slice."""

    @web.authenticated
    @authorized
    async def post(self, kernel_id: str) -> None:
        """Change it, which takes a new kernel: answer that, once it runs, as ``Switched``."""
        await self.answer(self._switch(kernel_id))
        self.overview.forget()

    async def _switch(self, kernel_id: str) -> Any:
        switches: MIGSwitches = self.settings[SWITCHES]
        wish = codec.decode(self.request.body, SizeRequest)
        try:
            return await switches.switch(kernel_id, wish)
        except SwitchFailed as failed:
            self.set_status(failed.error.status)
            body = msgspec.structs.asdict(codec.body_of(failed.error))
            return RestoredBody(**body, kernel_id=failed.kernel_id)


HANDLERS: list[tuple[str, type[MIGHandler]]] = [
    (r"api/node", NodeHandler),
    (r"api/leases", LeasesHandler),
    (r"api/overview", OverviewHandler),
    (r"api/history", HistoryHandler),
    (r"api/leases/(\w+-\w+-\w+-\w+-\w+)", StartHandler),
    (r"api/kernels/(\w+-\w+-\w+-\w+-\w+)/size", SizeHandler),
]
