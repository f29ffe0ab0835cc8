"""The page as a service of the Hub: people come through the Hub's OAuth.

It runs on the node as a user whom the broker knows as an administrator, and shows each user of the
Hub what is his. It changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler, authenticated

from jupyter_mig import errors
from jupyter_mig.client.administrator import Administrator
from jupyter_mig.client.settings import Settings
from jupyter_mig.client.shared import Shared
from jupyter_mig.hub import picture
from jupyter_mig.hub.picture import Picture, Reader
from jupyter_mig.wire.messages import NodeView

PAST_SECONDS = 7 * 24 * 3600.0
"""How far back the page looks."""

LOOK_SECONDS = 2.0
"""How old what is shown may be: all who look within that time are one question to the broker."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class SlicesPage(HubOAuthenticated, RequestHandler):  # type: ignore[misc]  # it has no types
    """Who holds what, as far as the user may see it."""

    def initialize(
        self,
        look: Callable[[], Awaitable[Picture]],
        node_of: Callable[[str], Awaitable[NodeView]],
        name_of: Callable[[str], str],
    ) -> None:
        """Tornado hands over what the application was made with."""
        self._look = look
        self._node_of = node_of
        self._name_of = name_of

    def set_default_headers(self) -> None:
        """Nothing on the page loads, runs or is kept."""
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Cache-Control", "no-store")

    @authenticated
    async def get(self) -> None:
        """The page, or what is wrong."""
        reader = reader_of(self.current_user, self._name_of)
        try:
            seen = await self._seen_by(reader)
        except errors.JupyterMigError as error:
            self.set_status(error.status)
            self.finish(picture.trouble(str(error)))
            return
        self.finish(picture.page(reader, seen))

    async def _seen_by(self, reader: Reader) -> Picture:
        """With the node as he sees it, if he is anybody there."""
        seen = await self._look()
        if reader.admin:
            return seen
        nobody = msgspec.structs.replace(seen.node, sizes=(), allowance=None)
        try:
            node = await self._node_of(reader.name) if reader.name else nobody
        except errors.UnknownUser as error:
            node = msgspec.structs.replace(nobody, allowance_not_available=error.message)
        return msgspec.structs.replace(seen, node=node)


def reader_of(model: Mapping[str, Any], name_of: Callable[[str], str]) -> Reader:
    """Who looks, by the Hub's model; a service is nobody, whatever it is called. ``name_of`` is how
    the node calls users of the Hub.
    """
    if model.get("kind") != "user":
        return Reader("", admin=False)
    return Reader(name_of(str(model.get("name", ""))), admin=bool(model.get("admin")))


async def look(client: Administrator) -> Picture:
    """Ask the broker for all that is on the page."""
    node, leases, intervals = await asyncio.gather(
        client.node(), client.all_leases(), client.intervals(time.time() - PAST_SECONDS)
    )
    return Picture(node, leases, intervals)


def application(prefix: str, settings: Settings) -> Application:
    """The service below its prefix, ``/services/jupyter-mig/``."""
    client = Administrator(settings)
    shared = Shared(lambda: look(client), LOOK_SECONDS)
    name_of = settings.system.name_of if settings.system is not None else str
    given = {"look": shared.now, "node_of": client.node_of, "name_of": name_of}
    return Application(
        [
            (prefix, SlicesPage, given),
            (f"{prefix}oauth_callback", HubOAuthCallbackHandler),
        ],
        cookie_secret=os.urandom(32),
    )


async def serve() -> None:
    """Be the service that the Hub's environment describes, until ended."""
    address = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    settings = Settings.from_environment(os.environ)
    server = HTTPServer(application(os.environ["JUPYTERHUB_SERVICE_PREFIX"], settings))
    server.listen(address.port or 80, address.hostname or "127.0.0.1")
    await asyncio.Event().wait()
