"""What enemies send to a door: all of it is refused or bounded, and others are served."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import msgspec
import pytest

from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.door.door import Door
from jupyter_mig.broker.door.routes import OneUser
from tests.broker.asking import connected, heard, say
from tests.broker.brokers import Post, runtime_directory
from tests.broker.households import asyncio_timeout, household
from tests.broker.remote.afar import afar

ASK = b'{"kernel_id":"smuggled","size":"1g.5gb"}'
LENGTH = b"Content-Length: %d\r\n" % len(ASK)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(ASK), ASK)


@pytest.fixture(scope="module")
def one_for_all() -> Iterator[Post]:
    """A place where a broker listens, and survives all that is sent here."""
    with runtime_directory() as runtime:
        post = Post(runtime)
        asyncio.run(post.starter().start())
        pid = post.pid
        yield post
        assert post.pid == pid
        post.end()


@pytest.fixture
def open_post(one_for_all: Post) -> Iterator[Post]:
    """The same, with nothing in it before and after."""
    yield one_for_all
    while leases := say(one_for_all.socket, "GET", "/v1/leases")[1]:
        for lease in leases:
            say(one_for_all.socket, "DELETE", f"/v1/leases/{lease['lease_id']}")


def _send(post: Post, raw: bytes) -> bytes:
    """Say something, say no more, and hear what comes back."""
    with connected(post.socket) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            return heard(connection)
        except (BrokenPipeError, ConnectionResetError):  # hung up on before it was all said
            return b""


@pytest.mark.parametrize(
    "headers",
    [
        LENGTH + CHUNKED,
        CHUNKED + LENGTH,
        LENGTH + b"Content-Length: 5\r\n",
        b"Content-Length: 5, %d\r\n" % len(ASK),
        b"Content-Length: +%d\r\n" % len(ASK),
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x28\r\n",
        b"Content-Length: 4_0\r\n",
        b"Content-Length: %d\r\n" % 10**40,
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b"Content-Length : %d\r\n" % len(ASK),
        b"X: a\rContent-Length: 40\r\n",
        b"X: a\x00b\r\n",
        b": nameless\r\n",
        b"no colon\r\n",
        b"Host: c\r\n",
        b"X: " + b"x" * 20_000 + b"\r\n",
        b"X: x\r\n" * 5_000,
    ],
    ids=lambda headers: repr(headers[:40])[2:-1],
)
def test_a_request_that_two_could_read_differently_is_not_read(
    open_post: Post, headers: bytes
) -> None:
    """Lengths that contradict, odd codings, broken and endless headers: no lease comes of it, the
    connection ends, and what follows on it is no request.
    """
    body = CHUNKS if b"Transfer" in headers else ASK
    answer = _send(
        open_post,
        b"POST /v1/leases HTTP/1.1\r\nHost: b\r\n%s\r\n%s" % (headers, body)
        + b"GET /v1/node HTTP/1.1\r\nHost: b\r\n\r\n",
    )
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") <= 1
    assert say(open_post.socket, "GET", "/v1/leases") == (200, [])
    assert "Traceback" not in (open_post.directory / "broker.log").read_text()


@pytest.mark.parametrize(
    "chunks",
    [
        b"-1\r\n" + ASK,
        b"+28\r\n" + ASK,
        b"0x28\r\n" + ASK,
        b"2_8\r\n" + ASK,
        b"fffffffffffffffffff\r\n" + ASK,
        b"28\n" + ASK + b"\n0\n\n",
        b"28;" + b"x" * 100_000 + b"\r\n" + ASK + b"\r\n0\r\n\r\n",
        b"28\r\n" + ASK,
        b"1\r\n{\r\n" * 300_000,
    ],
    ids=lambda chunks: repr(chunks[:20])[2:-1],
)
def test_chunks_that_are_none_are_not_read(open_post: Post, chunks: bytes) -> None:
    """Nor those that never end."""
    head = b"POST /v1/leases HTTP/1.1\r\nHost: b\r\n" + CHUNKED + b"\r\n"
    answer = _send(open_post, head + chunks)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert say(open_post.socket, "GET", "/v1/leases") == (200, [])
    assert "Traceback" not in (open_post.directory / "broker.log").read_text()


@pytest.mark.parametrize(
    "line",
    [
        b"GET /v1/leases",
        b"GET /v1/leases HTTP/0.9",
        b"GET /v1/leases HTTP/2.0",
        b"PRI * HTTP/2.0",
        b"GET  /v1/leases HTTP/1.1",
        b"GET\t/v1/leases\tHTTP/1.1",
        b"GET /v1/leases?" + b"x" * 70_000 + b" HTTP/1.1",
        b"CONNECT example.org:80 HTTP/1.1",
        b"TRACE /v1/leases HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"HEAD /v1/leases HTTP/1.1",
        b"PATCH /v1/leases HTTP/1.1",
        b"DESTROY /v1/leases HTTP/1.1",
        b"GET //v1/leases HTTP/1.1",
        b"GET /v1/leases/ HTTP/1.1",
        b"GET /v1/leases/%00 HTTP/1.1",
        b"GET /v1/leases/%0a HTTP/1.1",
        b"GET /v1/leases/../../etc/passwd HTTP/1.1",
        b"GET /v1/leases/%ff%fe HTTP/1.1",
        b"GET /v1/leases/\xff HTTP/1.1",
    ],
    ids=lambda line: repr(line[:40])[2:-1],
)
def test_odd_request_lines_are_refused(open_post: Post, line: bytes) -> None:
    """Other protocols, methods that are none, paths that lead elsewhere."""
    answer = _send(open_post, line + b"\r\nHost: b\r\nConnection: close\r\n\r\n")
    assert answer == b"" or answer.split()[1] in (b"400", b"404")
    assert "Traceback" not in (open_post.directory / "broker.log").read_text()


def test_no_header_and_no_query_changes_the_method(open_post: Post) -> None:
    """Who is let through as a reader does not delete."""
    _, lease = say(open_post.socket, "POST", "/v1/leases", ASK)
    path = f"/v1/leases/{lease['lease_id']}"
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert say(open_post.socket, "GET", path, headers={name: "DELETE"})[0] == 200
        assert say(open_post.socket, "POST", path, headers={name: "DELETE"})[0] == 400
    assert say(open_post.socket, "GET", f"{path}?_method=DELETE")[0] == 400
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert say(open_post.socket, "POST", path, b"_method=DELETE", form)[0] == 400
    (still,) = say(open_post.socket, "GET", "/v1/leases")[1]
    assert still["state"] in ("creating", "granted")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"kernel_id":' * 4_000,
        b'{"kernel_id":"k","size":"1g.5gb","more":' + b"[" * 60_000,
        b'{"kernel_id":"k","size":"1g.5gb","label":' + b'{"a":' * 10_000,
        b'{"kernel_id":"k","kernel_id":"l","size":' + b"9" * 60_000 + b"}",
        b'{"kernel_id":"k","size":"1g.5gb","patience_seconds":' + b"9" * 60_000 + b"}",
        b'{"kernel_id":"k","size":"1g.5gb","patience_seconds":1e999}',
        b'{"kernel_id":"k","size":"1g.5gb","patience_seconds":NaN}',
        b'{"kernel_id":"k","size":"' + b"g" * 60_000 + b'"}',
        b'{"kernel_id":"k\\u0000","size":"1g.5gb"}',
        b'{"kernel_id":"k\\ud800","size":"1g.5gb"}',
        b'\xef\xbb\xbf{"kernel_id":"k","size":"1g.5gb"}',
    ],
    ids=lambda body: repr(body[:50])[2:-1],
)
def test_bombs_of_json_are_bad_requests(open_post: Post, body: bytes) -> None:
    """However deep, long or odd: one line says what is wrong, and nothing is asked for."""
    status, error = say(open_post.socket, "POST", "/v1/leases", body)
    assert (status, error["kind"]) == (400, "bad-request")
    assert len(error["message"]) < 300
    assert say(open_post.socket, "GET", "/v1/leases") == (200, [])


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "multipart/form-data"],
)
def test_bodies_that_claim_to_be_forms_hold_nobody_up(open_post: Post, kind: str) -> None:
    """They are read as JSON, as all are, whatever Tornado makes of them before."""
    for body in (b"a=1&" * 16_000, b"--b\r\n\r\n" * 9_000, ASK):
        status, _ = say(open_post.socket, "POST", "/v1/leases", body, {"Content-Type": kind})
        assert status in (200, 400)
    assert say(open_post.socket, "GET", "/v1")[0] == 200


def test_a_thousand_requests_on_one_connection_are_answered_in_order(open_post: Post) -> None:
    """Nobody waits for one who does not wait for answers."""
    with connected(open_post.socket) as greedy:
        greedy.sendall(b"GET /v1 HTTP/1.1\r\nHost: b\r\n\r\n" * 1000)
        assert say(open_post.socket, "GET", "/v1")[0] == 200
        greedy.shutdown(socket.SHUT_WR)
        assert heard(greedy).count(b"HTTP/1.1 200 OK") == 1000


@asynccontextmanager
async def _impatient(runtime: Path) -> AsyncIterator[Path]:
    """The socket of a door at which a request must arrive soon."""
    with household(runtime) as home:
        home.settings = msgspec.structs.replace(home.settings, request=0.3)
        async with home.started() as service:
            door = Door(service, home.driver, Keys(b"secret"), OneUser(os.getuid()))
            door.open(runtime / "s")
            try:
                yield runtime / "s"
            finally:
                await door.close()


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b""),
        (b"GET /v1 HTTP/1.1\r\n", b""),
        (b"GET /v1 HTTP/1.1\r\n", b"X: x\r\n"),
        (b"POST /v1/leases HTTP/1.1\r\nHost: b\r\nContent-Length: 4000\r\n\r\n", b""),
        (b"POST /v1/leases HTTP/1.1\r\nHost: b\r\nContent-Length: 4000\r\n\r\n", b" "),
        (b"POST /v1/leases HTTP/1.1\r\nHost: b\r\n" + CHUNKED + b"\r\n", b"1\r\n \r\n"),
    ],
    ids=["silence", "half", "headers", "no body", "body", "chunks"],
)
async def test_a_request_that_does_not_arrive_is_hung_up_on(
    runtime: Path, head: bytes, drop: bytes
) -> None:
    """Also one that comes drop by drop; meanwhile others are served."""
    async with _impatient(runtime) as path, asyncio_timeout(60):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(head)
        over = asyncio.ensure_future(reader.read())
        while not over.done():
            if drop and not writer.is_closing():
                writer.write(drop)
            assert (await asyncio.to_thread(say, path, "GET", "/v1"))[0] == 200
            await asyncio.wait((over,), timeout=0.05)  # between the drops
        assert over.exception() is not None or b"200" not in over.result()
        writer.close()


async def test_thousands_of_connections_by_tcp_keep_nobody_out() -> None:
    """Strangers without a token, who say nothing or only begin to: Alice is served; and beyond what
    that door takes, who comes by the Unix socket.
    """
    async with afar() as far:
        with closing(_Strangers(far.port)) as strangers:
            await asyncio.to_thread(strangers.come, 1900)
            async with asyncio_timeout(60):
                wish = {"kernel_id": "k", "size": "1g.5gb", "wait_seconds": 30}
                status, lease = await far.ask_as("alices", "POST", "/v1/leases", wish)
            await asyncio.to_thread(strangers.come, 1500)
            assert (await asyncio.to_thread(say, far.socket, "GET", "/v1/leases"))[0] == 200
        assert (status, lease["state"]) == (200, "granted")


class _Strangers:
    """Connections by TCP, every second of which begins a request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []

    def come(self, count: int) -> None:
        """So many more."""
        for number in range(count):
            one = socket.create_connection(("127.0.0.1", self._port), timeout=20)
            self._sockets.append(one)
            if number % 2:
                with suppress(ConnectionError):  # hung up on already
                    one.sendall(b"GET /v1/leases HTTP/1.1\r\nHo")

    def close(self) -> None:
        """All of them go."""
        for one in self._sockets:
            one.close()
