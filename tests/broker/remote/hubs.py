"""A Hub that knows a few tokens, as far as ``GET /hub/api/user`` and ``GET /hub/api/users/{name}``
go; tests with the real one are in tests/hub.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

OURS = "brokers"
MEANT_FOR_US = "access:services!service=jupyter-mig"


def user(name: str, *scopes: str, groups: Sequence[str] = ()) -> dict[str, Any]:
    """What the Hub says about a token of a user's."""
    scopes = scopes or (MEANT_FOR_US,)
    return {"kind": "user", "name": name, "groups": list(groups), "scopes": list(scopes)}


class SmallHub:
    """Its tokens can be changed at any time. ``asked`` are those it was shown, ``called`` is set
    then, and ``gate`` holds its answers back. ``users`` it tells of to who has the token ``OURS``.
    """

    def __init__(self) -> None:
        sees = {"kind": "service", "name": "broker", "scopes": ["read:users:groups"]}
        self.tokens: dict[str, Any] = {OURS: sees}
        self.users: dict[str, Any] = {}
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
        self.say(self._hub.tokens.get(token))

    def say(self, model: Any) -> None:
        """A model, a status, or that there is none."""
        if isinstance(model, int):
            self.set_status(model)
        elif model is None:
            self.set_status(403)
        else:
            self.finish(json.dumps(model))


class _Users(_User):
    async def get(self, name: str) -> None:  # type: ignore[override]  # its path has a name
        """The model of any user, for whoever has the token for that."""
        token = self.request.headers["Authorization"].removeprefix("token ")
        self._hub.asked.append(name)
        self.say(self._hub.users.get(name, 404) if token == OURS else 403)


@asynccontextmanager
async def small_hub() -> AsyncIterator[SmallHub]:
    """One that listens on loopback."""
    hub = SmallHub()
    server = HTTPServer(
        Application(
            [
                ("/hub/api/user", _User, {"hub": hub}),
                (r"/hub/api/users/([^/]+)", _Users, {"hub": hub}),
            ],
            log_function=lambda _: None,
        )
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
