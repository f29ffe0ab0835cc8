"""Listeners to a real server's event bus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.server.servers import PATIENCE_SECONDS, TOKEN, Server

OURS = "urn:jupyter-mig:slice:v1"


class Listener:
    """What JupyterLab's event manager is."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._socket = connection

    async def next(self) -> dict[str, Any]:
        """The next event of ours."""
        return await asyncio.wait_for(self._next(), PATIENCE_SECONDS)

    async def _next(self) -> dict[str, Any]:
        while True:
            message = await self._socket.read_message()
            assert message is not None, "the server closed the events socket"
            event: dict[str, Any] = json.loads(message)
            if event["schema_id"] == OURS:
                return event


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[Listener]:
    """A listener on the server's bus."""
    address = f"{server.url.replace('http', 'ws')}/api/events/subscribe"
    request = HTTPRequest(address, headers={"Authorization": f"token {TOKEN}"})
    connection = await websocket_connect(request)
    try:
        yield Listener(connection)
    finally:
        connection.close()
