"""A front end's tab on a kernel: it runs cells, and keeps what widgets send."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from typing import Any

from tornado.websocket import WebSocketClientConnection

from tests.server.servers import PATIENCE_SECONDS, Server

_TAGS = re.compile(r"<[^>]*>")


class Tab:
    """Connected to one kernel. ``values`` are what HTML widgets were set to, as people read it."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket
        self.values: list[str] = []
        self.comm_messages = 0

    @classmethod
    async def open(cls, server: Server, kernel_id: str) -> Tab:
        """Connect, once the kernel is ready."""
        return cls(await server.connect(kernel_id))

    async def run(self, code: str) -> str:
        """Run a cell to its end; what it printed, and its result as text."""
        return await asyncio.wait_for(self._run(code), PATIENCE_SECONDS)

    async def until_shown(self, words: str) -> None:
        """Read on until a widget shows these words."""

        async def shown() -> None:
            while not any(words in value for value in self.values):
                self._note(await self._read())

        await asyncio.wait_for(shown(), PATIENCE_SECONDS)

    def forget(self) -> None:
        """Forget what widgets sent so far."""
        self.values.clear()
        self.comm_messages = 0

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    async def _run(self, code: str) -> str:
        message_id = await self._ask(code)
        printed = ""
        while True:
            message = await self._read()
            self._note(message)
            if message["parent_header"].get("msg_id") != message_id:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    printed += content["text"]
                case "execute_result":
                    printed += content["data"]["text/plain"]
                case "error":
                    raise AssertionError("\n".join(content["traceback"]))
                case "status" if content["execution_state"] == "idle":
                    return printed

    async def _ask(self, code: str) -> str:
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "test"}
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}}
        message = {"header": {**header, "username": "", "version": "5.3"}, "content": content}
        await self._socket.write_message(
            json.dumps({**message, "parent_header": {}, "metadata": {}, "channel": "shell"})
        )
        return header["msg_id"]

    async def _read(self) -> dict[str, Any]:
        received = await self._socket.read_message()
        assert received is not None, "the kernel's websocket was closed"
        message: dict[str, Any] = json.loads(received)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        if not message["msg_type"].startswith("comm_"):
            return
        self.comm_messages += 1
        state = message["content"]["data"].get("state", {})
        if "value" in state:
            self.values.append(" ".join(_TAGS.sub(" ", state["value"]).split()))
