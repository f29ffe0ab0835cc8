"""Looking at one's own slice through the broker's door, with the standard library alone."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import msgspec

from jupyter_mig import errors
from jupyter_mig.kernels.environment import KEY, LEASE, SOCKET
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import ErrorBody, SliceNowView

URL = "JUPYTER_MIG_URL"
"""Where the broker is for servers that reach it by TCP. It wins over a socket, as it does for
clients, which have refused an address that would show keys to the network.
"""

LOOK_SECONDS = 2.0
"""How long each step of a look may take: a program asks between two steps of its own work."""


class Keyhole:
    """What a lease's read-only key opens: the view of its slice."""

    def __init__(self, door: str, lease_id: str, key: str) -> None:
        """``door`` is the broker's socket, or its URL."""
        self._door = door
        self._lease_id = lease_id
        self._key = key

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Keyhole | None:
        """The one that a kernel was given; None if it was given none."""
        door = environ.get(URL) or environ.get(SOCKET, "")
        given = [door, environ.get(LEASE, ""), environ.get(KEY, "")]
        return cls(*given) if all(given) else None

    def look(self) -> SliceNowView:
        """The slice now. Blocks, at most for some seconds; may be called from any thread.

        Raises LeaseEnded once the slice is another's, UnknownLease if the key does not fit, and
        BrokerUnreachable if nobody answers.
        """
        line = _line(self._door)
        try:
            line.request(
                "GET",
                f"/v1/slice?lease={quote(self._lease_id)}",
                headers={"Authorization": f"Bearer {self._key}"},
            )
            answer = line.getresponse()
            return _read(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise errors.BrokerUnreachable(
                "The broker does not answer.", situation=f"{self._door}: {_reason(error)}"
            ) from error
        finally:
            line.close()


def _line(door: str) -> http.client.HTTPConnection:
    parts = urlsplit(door)
    if not parts.hostname:
        return _Line(door)
    if parts.scheme == "https":
        trust = ssl.create_default_context()
        return http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=LOOK_SECONDS, context=trust
        )
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=LOOK_SECONDS)


class _Line(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("broker", timeout=LOOK_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Reach the socket, not a host. Called by the base."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LOOK_SECONDS)
        self.sock.connect(self._path)


def _read(status: int, body: bytes) -> SliceNowView:
    try:
        if status == HTTPStatus.OK:
            return msgspec.json.decode(body, type=SliceNowView)
        error = codec.error_in(msgspec.json.decode(body, type=ErrorBody))
    except msgspec.MsgspecError:
        raise errors.BrokerUnreachable(
            "The broker's answer cannot be read.",
            situation=f"Status {status}.",
            next_step="Use the same version of jupyter-mig here and there.",
        ) from None
    raise error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
