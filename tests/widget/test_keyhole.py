"""Looking through the door with the standard library: what is seen, and what goes wrong."""

from __future__ import annotations

import asyncio
import http.server
import signal
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.client import Client
from jupyter_mig.kernels.environment import with_slice
from jupyter_mig.widget.keyhole import Keyhole
from jupyter_mig.wire.messages import LeaseRequest, LeaseView
from tests.broker.brokers import Post, until


async def _given(client: Client, post: Post) -> tuple[LeaseView, Keyhole]:
    """A lease and what its kernel looks through, made of nothing but the kernel's environment."""
    lease = await client.acquire(LeaseRequest("k", "1g.5gb", patience_seconds=20))
    assert lease.slice is not None
    key = await client.key(lease.lease_id)
    environ = with_slice(
        {}, lease.slice, lease_id=lease.lease_id, key=key, socket=post.socket, simulated=True
    )
    keyhole = Keyhole.of(environ)
    assert keyhole is not None
    return lease, keyhole


async def test_a_look_shows_the_slice(post: Post) -> None:
    """Memory, and the points of the last minutes."""
    lease, keyhole = await _given(post.client(), post)

    async def shown() -> bool:
        seen = await asyncio.to_thread(keyhole.look)
        assert (seen.lease_id, seen.slice, seen.simulated) == (lease.lease_id, lease.slice, True)
        assert seen.readings is not None
        assert seen.readings.memory_total_bytes
        assert seen.gpu is not None
        return bool(seen.points)

    await until(shown)


async def test_a_broker_that_died_is_said_and_the_next_one_seen(post: Post) -> None:
    """A look starts none; whoever does, the key is as good as before."""
    client = post.client()
    _, keyhole = await _given(client, post)
    post.end(signal.SIGKILL)
    with pytest.raises(errors.BrokerUnreachable):
        keyhole.look()
    await client.broker()
    assert keyhole.look().state == "granted"


async def test_an_ended_lease_is_said(post: Post) -> None:
    """The slice is another's by then."""
    client = post.client()
    lease, keyhole = await _given(client, post)
    await client.release(lease.lease_id)

    async def over() -> bool:
        return not await client.leases()

    await until(over)
    with pytest.raises(errors.LeaseEnded):
        keyhole.look()


async def test_a_wrong_key_is_said(post: Post) -> None:
    """As a lease that does not exist."""
    client = post.client()
    lease, _ = await _given(client, post)
    with pytest.raises(errors.UnknownLease):
        Keyhole(str(post.socket), lease.lease_id, "wrong").look()


@pytest.mark.parametrize("missing", ["JUPYTER_MIG_SOCKET", "JUPYTER_MIG_LEASE", "JUPYTER_MIG_KEY"])
def test_without_all_three_there_is_nothing_to_look_through(missing: str) -> None:
    """An environment of an older version, or one that was tampered with."""
    environ = {"JUPYTER_MIG_SOCKET": "/s", "JUPYTER_MIG_LEASE": "L", "JUPYTER_MIG_KEY": "K"}
    assert Keyhole.of(environ) is not None
    assert Keyhole.of({**environ, missing: ""}) is None


@contextmanager
def _answering(path: Path, status: int, body: bytes) -> Iterator[None]:
    """A server that always gives that answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def address_string(self) -> str:
            return "unix"

    with socketserver.UnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, b"{}"), (404, b""), (500, b"[]"), (200, b'{"lease_id": 7}')],
)
def test_an_answer_that_makes_no_sense_is_an_error_of_ours(
    runtime: Path, status: int, body: bytes
) -> None:
    """Whoever listens there: the monitor has one kind of trouble to show."""
    path = runtime / "s"
    with _answering(path, status, body), pytest.raises(errors.BrokerUnreachable, match="be read"):
        Keyhole(str(path), "L", "K").look()


def test_a_newer_broker_is_understood(runtime: Path) -> None:
    """Fields that this version does not know are passed over."""
    path = runtime / "s"
    body = b'{"lease_id": "L", "state": "bound", "size": "1g.5gb", "mood": "good"}'
    with _answering(path, 200, body):
        assert Keyhole(str(path), "L", "K").look().state == "bound"


def test_what_is_no_http_is_an_error_of_ours(runtime: Path) -> None:
    """A server that speaks something else."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"220 smtp\r\n")

    path = runtime / "s"
    with socketserver.UnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(errors.BrokerUnreachable):
            Keyhole(str(path), "L", "K").look()
        thread.join()
