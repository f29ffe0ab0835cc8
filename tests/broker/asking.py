"""Speaking to a broker's socket without our client: as curl does, or worse."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any


class Knock(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("broker", timeout=20)
        self._path = str(path)

    def connect(self) -> None:
        """Reach the socket instead of a host."""
        self.sock = connected(self._path)


def connected(path: Path | str) -> socket.socket:
    """A connection on which nothing has been said."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(20)
    connection.connect(str(path))
    return connection


def say(
    path: Path,
    method: str,
    target: str,
    body: object = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, Any]:
    """One request; status and decoded answer. A body that is no bytes goes as JSON."""
    knock = Knock(path)
    try:
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        given = {name: value.encode() for name, value in headers.items()}
        knock.request(method, target, raw, given)
        answer = knock.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        knock.close()


def heard(connection: socket.socket) -> bytes:
    """All that comes until the other side hangs up."""
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)
