"""The page as a service of the Hub: people come through the Hub's OAuth.

It runs on the node as a user whom the broker knows as an administrator, and shows each user of the
Hub what is his. It changes nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler, authenticated

from jupyter_mig import errors
from jupyter_mig.client.administrator import Administrator
from jupyter_mig.client.settings import Settings
from jupyter_mig.hub import picture
from jupyter_mig.hub.picture import Reader

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class SlicesPage(HubOAuthenticated, RequestHandler):  # type: ignore[misc]  # it has no types
    """Who holds what, as far as the user may see it."""

    client: Administrator

    def initialize(self, client: Administrator) -> None:
        """Tornado hands over what the application was made with."""
        self.client = client

    def set_default_headers(self) -> None:
        """Nothing on the page loads, runs or is kept."""
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Cache-Control", "no-store")

    @authenticated
    async def get(self) -> None:
        """The page, or what is wrong."""
        reader = reader_of(self.current_user)
        try:
            node, leases = await asyncio.gather(self.client.node(), self.client.all_leases())
        except errors.JupyterMigError as error:
            self.set_status(error.status)
            self.finish(picture.trouble(str(error)))
            return
        self.finish(picture.page(reader, node, leases))


def reader_of(model: Mapping[str, Any]) -> Reader:
    """Who looks, by the Hub's model; a service is nobody, whatever it is called."""
    if model.get("kind") != "user":
        return Reader("", admin=False)
    return Reader(str(model.get("name", "")), admin=bool(model.get("admin")))


def application(prefix: str, client: Administrator) -> Application:
    """The service below its prefix, ``/services/jupyter-mig/``."""
    return Application(
        [
            (prefix, SlicesPage, {"client": client}),
            (f"{prefix}oauth_callback", HubOAuthCallbackHandler),
        ],
        cookie_secret=os.urandom(32),
    )


async def serve() -> None:
    """Be the service that the Hub's environment describes, until ended."""
    address = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    client = Administrator(Settings.from_environment(os.environ))
    server = HTTPServer(application(os.environ["JUPYTERHUB_SERVICE_PREFIX"], client))
    server.listen(address.port or 80, address.hostname or "127.0.0.1")
    await asyncio.Event().wait()
