"""A Hub that knows a few tokens, as far as its ``GET /hub/api/user`` goes; tests with the real one
are in tests/hub.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

MEANT_FOR_US = "access:services!service=jupyter-mig"


def user(name: str, *scopes: str) -> dict[str, Any]:
    """What the Hub says about a token of a user's."""
    return {"kind": "user", "name": name, "scopes": list(scopes or (MEANT_FOR_US,))}


class SmallHub:
    """Its tokens can be changed at any time. ``asked`` are those it was shown, ``called`` is set
    then, and ``gate`` holds its answers back.
    """

    def __init__(self) -> None:
        self.tokens: dict[str, Any] = {}
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.called = asyncio.Event()
        self.url = ""


class _User(RequestHandler):
    def initialize(self, hub: SmallHub) -> None:
        self._hub = hub

    async def get(self) -> None:
        """The model of the token's owner."""
        token = self.request.headers["Authorization"].removeprefix("token ")
        self._hub.asked.append(token)
        self._hub.called.set()
        await self._hub.gate.wait()
        model = self._hub.tokens.get(token)
        if isinstance(model, int):
            self.set_status(model)
        elif model is None:
            self.set_status(403)
        else:
            self.finish(json.dumps(model))


@asynccontextmanager
async def small_hub() -> AsyncIterator[SmallHub]:
    """One that listens on loopback."""
    hub = SmallHub()
    server = HTTPServer(
        Application([("/hub/api/user", _User, {"hub": hub})], log_function=lambda _: None)
    )
    (listening,) = bind_sockets(0, "127.0.0.1")
    server.add_socket(listening)
    hub.url = f"http://127.0.0.1:{listening.getsockname()[1]}/hub/api"
    try:
        yield hub
    finally:
        hub.gate.set()
        server.stop()
        await server.close_all_connections()
