"""One question to a broker: an HTTP request over its Unix socket.

Each question has a connection of its own, so giving a question up hangs up, which the broker
notices. Before anything is sent, the kernel tells who listens (SO_PEERCRED).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tornado.httpclient import HTTPError, HTTPRequest, HTTPResponse
from tornado.iostream import IOStream, StreamClosedError
from tornado.simple_httpclient import (
    HTTPStreamClosedError,
    HTTPTimeoutError,
    SimpleAsyncHTTPClient,
)
from tornado.tcpclient import TCPClient

from jupyter_mig import errors

_UCRED = struct.Struct("3i")
_BUSY_SECONDS = 0.01
"""How soon a door whose backlog is full is tried again."""

_TOO_BUSY = "The broker is too busy to answer."
"""Said by whichever of two clocks rings first: ours, or Tornado's for the same moment."""


class Gone(Exception):
    """Nobody listens, or the broker went away before it answered."""


class Stranger(Exception):
    """Another process listens than the one we know. Nothing was sent. Carries its pid."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"process {pid} listens")
        self.pid = pid


class Door(NamedTuple):
    """Where a broker listens, the users as one of whom it must run, and where to look if it does
    not answer.
    """

    path: Path
    owners: frozenset[int]
    where_to_look: str = "See broker.log there."


class Question(NamedTuple):
    """What to ask. ``timeout_seconds`` bounds the whole exchange."""

    method: str
    path: str
    body: bytes | None
    timeout_seconds: float


class Answer(NamedTuple):
    """What came back, and from which process."""

    status: int
    body: bytes
    pid: int


class _Line(TCPClient):
    """Tornado's way to a server, with a Unix socket at the end of it.

    ``known_pid`` is the process that must listen there; None is whoever does.
    """

    def __init__(self, door: Door, known_pid: int | None, give_up_at: float) -> None:
        super().__init__()
        self._path = str(door.path)
        self._owners = door.owners
        self._known_pid = known_pid
        self._give_up_at = give_up_at
        self._stream: IOStream | None = None
        self.pid = 0

    async def connect(self, *_host_and_port: Any, **_options: Any) -> IOStream:
        """A connection to the broker, whatever host the URL names. Called by Tornado's client."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._stream = IOStream(connection)
        await self._reach(connection)
        self._require_known(connection)
        return self._stream

    def close(self) -> None:
        """Hang up."""
        super().close()
        if self._stream is not None:
            self._stream.close()

    async def _reach(self, connection: socket.socket) -> None:
        """connect(2) on a Unix socket is done at once, or says EAGAIN when the backlog is full."""
        while True:
            try:
                connection.connect(self._path)
            except BlockingIOError:  # noqa: PERF203 - trying again is what the loop is for
                if asyncio.get_running_loop().time() > self._give_up_at:
                    raise errors.BrokerUnreachable(_TOO_BUSY) from None
                await asyncio.sleep(_BUSY_SECONDS)
            else:
                return

    def _require_known(self, connection: socket.socket) -> None:
        self.pid, uid, _ = _UCRED.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        )
        if uid not in self._owners:
            raise errors.ForeignBroker(
                f"The broker is run by user {uid}, not by you or this node.",
                situation=f"It listens at {self._path}.",
                next_step="Unset JUPYTER_MIG_SOCKET to use a broker of your own.",
            )
        if self._known_pid is not None and self.pid != self._known_pid:
            raise Stranger(self.pid)


async def ask(door: Door, question: Question, known_pid: int | None = None) -> Answer:
    """Ask the broker that listens at ``door``, which must be the process ``known_pid`` if given.

    Raises Gone, Stranger, ForeignBroker, or BrokerUnreachable if it listens but does not answer.
    """
    give_up_at = asyncio.get_running_loop().time() + question.timeout_seconds
    line = _Line(door, known_pid, give_up_at)
    client = SimpleAsyncHTTPClient(force_instance=True)
    client.tcp_client.close()
    client.tcp_client = line
    asked = request("http://broker", question, {})
    try:
        response = await patiently(client.fetch(asked, raise_error=False))
    except (HTTPStreamClosedError, StreamClosedError, ConnectionError, FileNotFoundError) as error:
        raise Gone(str(error)) from error
    except HTTPTimeoutError as error:
        raise errors.BrokerUnreachable(
            "The broker does not answer." if line.pid else _TOO_BUSY,
            situation=f"It listens at {door.path}.",
            next_step=door.where_to_look,
        ) from error
    except (HTTPError, OSError) as error:
        raise errors.BrokerUnreachable(
            "The broker cannot be talked to.", situation=f"{door.path}: {error}"
        ) from error
    finally:
        client.close()
    return Answer(response.code, response.body, line.pid)


async def patiently(fetching: asyncio.Future[HTTPResponse]) -> HTTPResponse:
    """Await, but leave it whole when we are cancelled: Tornado logs answers to cancelled calls."""
    fetching.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait((fetching,))
    return fetching.result()


def request(url: str, question: Question, headers: Mapping[str, str]) -> HTTPRequest:
    """A question to the broker at ``url``."""
    return HTTPRequest(
        f"{url}{question.path}",
        method=question.method,
        body=question.body,
        headers={"Content-Type": "application/json", **headers},
        connect_timeout=question.timeout_seconds,
        request_timeout=question.timeout_seconds,
        follow_redirects=False,
        allow_nonstandard_methods=True,
    )
