"""What somebody may send who means harm, or has it from somebody who does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mig.cli.cells import printable
from tests.broker.asking import connected, heard, say
from tests.broker.brokers import Orders, Post

ESCAPE, BELL, DELETE, C1 = "\x1b[2J", "\x07", "\x7f", "\x9b"
BACKWARDS = "\u202e"


@pytest.fixture
def open_post(post: Post) -> Iterator[Post]:
    """A place where a broker listens."""
    asyncio.run(post.starter().start())
    yield post
    assert say(post.socket, "GET", "/v1")[0] == 200, "it lives"
    assert "Traceback" not in (post.directory / "broker.log").read_text()
    post.end()


DEEP = 15_000
BOMBS = [
    b"[" * 4 * DEEP,
    b'{"a":' * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    b'{"kernel_id":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"kernel_id":"k","size":"1g.5gb","more":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"requests":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"kernel_id":"k","size":"1g.5gb","patience_seconds":' + b"9" * 4 * DEEP + b"}",
    b'{"kernel_id":"k","size":"1g.5gb","patience_seconds":1e999}',
    b'{"kernel_id":"k","size":"1g.5gb","label":"\\ud800"}',
]


@pytest.mark.parametrize("path", ["leases", "batches", "plan"])
@pytest.mark.parametrize("body", BOMBS, ids=lambda body: body[:40].decode())
def test_json_bombs_are_refused_in_one_line(open_post: Post, path: str, body: bytes) -> None:
    """Nesting without end, numbers without end, halves of characters."""
    status, error = say(open_post.socket, "POST", f"/v1/{path}", body)
    assert (status, error["kind"]) == (400, "bad-request")
    assert len(error["message"]) < 300


def test_a_body_in_pieces_without_end_is_not_kept(open_post: Post) -> None:
    """Its length is not said beforehand; it is read as far as any other."""
    with connected(open_post.socket) as endless:
        endless.sendall(
            b"POST /v1/leases HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            endless.sendall(64 * piece)


@pytest.mark.parametrize("field", ["kernel_id", "size"])
@pytest.mark.parametrize("mark", [ESCAPE, BELL, DELETE, C1, "\n", "\0", "end\n"])
def test_names_with_control_characters_are_refused(open_post: Post, field: str, mark: str) -> None:
    """They would be shown in terminals and logs, also of administrators."""
    ask = {"kernel_id": "k", "size": "1g.5gb", field: f"a{mark}"}
    status, error = say(open_post.socket, "POST", "/v1/leases", ask)
    assert (status, error["kind"]) == (400, "bad-request")
    assert f"Field {field}" in error["message"]
    assert error["message"].isprintable()


def test_labels_lose_their_control_characters(open_post: Post) -> None:
    """They are names of notebooks, which may have any: such a notebook starts, too."""
    label = f"{ESCAPE}a{BELL}\n{BACKWARDS}b{C1}.ipynb"
    ask = {"kernel_id": "k", "size": "1g.5gb", "label": label, "wait_seconds": 5}
    status, lease = say(open_post.socket, "POST", "/v1/leases", ask)
    assert (status, lease["label"]) == (200, printable(label))
    assert lease["label"].isprintable()
    assert say(open_post.socket, "GET", "/v1/leases")[1][0]["label"] == lease["label"]


@pytest.mark.parametrize(
    "target",
    [
        "/v1/leases/" + "a" * 12_000,
        "/v1/leases/..%2f..%2fetc%2fpasswd",
        "/v1/leases/%00",
        "/v1/leases/%1b%5b2J",
        "/v1/leases/x?wait_seconds=nan",
        "/v1/leases/x?" + "&".join(f"a{number}=1" for number in range(500)),
    ],
    ids=["long", "dots", "nul", "escape", "nan", "many"],
)
def test_odd_paths_are_refused(open_post: Post, target: str) -> None:
    """None leads to a file, and none is repeated in full."""
    status, error = say(open_post.socket, "GET", target)
    assert status in (400, 404)
    assert all(len(words) < 300 for words in error.values())
    assert all(words.isprintable() for words in error.values())


def test_who_asks_for_ever_more_is_stopped(post: Post) -> None:
    """At as many as there may be; the line stays short for others."""
    post.order(Orders(most_leases=100))
    asyncio.run(post.starter().start())
    assert [_ask_for(post.socket, start, 50) for start in (0, 50, 100)] == [200, 200, 429]
    assert len(say(post.socket, "GET", "/v1/leases")[1]) == 100
    post.end()


def _ask_for(socket: Path, start: int, count: int) -> int:
    asks = [
        {"kernel_id": f"k{number}", "size": "7g.40gb", "patience_seconds": None}
        for number in range(start, start + count)
    ]
    return say(socket, "POST", "/v1/batches", {"requests": asks})[0]


def test_a_half_open_request_does_not_outlive_its_time(post: Post) -> None:
    """A head without an end, and a body that does not come: both are hung up on."""
    post.order(Orders(request=0.5))
    asyncio.run(post.starter().start())
    with connected(post.socket) as head, connected(post.socket) as body:
        head.sendall(b"GET /v1 HTTP/1.1\r\nHost: b\r\nX: ")
        body.sendall(b"POST /v1/leases HTTP/1.1\r\nHost: b\r\nContent-Length: 9\r\n\r\n{")
        assert (heard(head), heard(body)) == (b"", b"")
    post.end()
