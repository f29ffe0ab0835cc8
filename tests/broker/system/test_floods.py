"""One user floods the door of a node's broker; others are served."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.broker.system.shared_node import ALICE, BOB, SharedNode, lacking, shared_node

PLAN_MILLISECONDS = 24
"""What a plan of 128 slices on one GPU is taken to cost."""

_MANY = """
import socket, sys
path, number, said = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
lines = []
for _ in range(number):
    line = socket.socket(socket.AF_UNIX)
    line.connect(path)
    if said:
        line.sendall(said)
    lines.append(line)
print("there", flush=True)
sys.stdin.read()
"""

_ASK = """
import http.client, json, socket, sys
path, target = sys.argv[1:]
line = http.client.HTTPConnection("broker", timeout=30)
line.sock = socket.socket(socket.AF_UNIX)
line.sock.connect(path)
line.request("GET", target)
answer = line.getresponse()
print(json.dumps([answer.status, json.loads(answer.read())]))
"""

_HAMMER = """
import http.client, socket, sys
path = sys.argv[1]
print("there", flush=True)
answered = 0
while answered < 100000:
    line = http.client.HTTPConnection("broker", timeout=30)
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.connect(path)
    line.request("GET", "/v1/node")
    line.getresponse().read()
    line.close()
    answered += 1
"""


_ASK_MANY = """
import http.client, socket, sys
lines = []
for _ in range(60):
    line = http.client.HTTPConnection("broker")
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.settimeout(60)
    line.sock.connect(sys.argv[1])
    line.request("POST", "/v1/batches", '{body}')
    lines.append(line)
print("there", flush=True)
print(lines[-1].getresponse().status, flush=True)
sys.stdin.read()
"""

_PLAN = """
import http.client, json, socket, sys, threading
answers = {}
def go():
    line = http.client.HTTPConnection("broker")
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.connect(sys.argv[1])
    while True:
        line.request("POST", "/v1/plan", sys.argv[2])
        answer = line.getresponse()
        answer.read()
        answers[answer.status] = answers.get(answer.status, 0) + 1
for _ in range(100):
    threading.Thread(target=go, daemon=True).start()
print("there", flush=True)
sys.stdin.readline()
print(json.dumps(answers), flush=True)
"""

_TOGETHER = """
import http.client, json, socket, sys
lines = []
for _ in range(30):
    line = http.client.HTTPConnection("broker")
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.settimeout(60)
    line.sock.connect(sys.argv[1])
    lines.append(line)
for number, line in enumerate(lines):
    names = [f"{number} {each}" for each in range(25)]
    asks = [{"kernel_id": each, "size": "1g.5gb", "patience_seconds": None} for each in names]
    line.request("POST", "/v1/batches", json.dumps({"requests": asks}))
print("there", flush=True)
answers = [line.getresponse() for line in lines]
print(json.dumps([[each.status, len(json.loads(each.read()))] for each in answers]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def node() -> Iterator[SharedNode]:
    """One on which a user may have 256 connections and 60 leases."""
    if lacking():
        pytest.skip(lacking())
    with shared_node(connections_per_user=256, leases_per_user=60) as one:
        one.start()
        yield one


@contextmanager
def _running(uid: int, program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program of that user's, from when it says that it is there."""
    who: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []}
    with subprocess.Popen(
        ["/usr/bin/python3", "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        **who,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        try:
            yield process
        finally:
            process.kill()


def _ask(node: SharedNode, uid: int, target: str = "/v1") -> tuple[int, Any]:
    who: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []}
    done = subprocess.run(
        ["/usr/bin/python3", "-c", _ASK, str(node.socket), target],
        check=False,
        capture_output=True,
        cwd="/",
        **who,
    )
    if done.returncode:
        return 0, done.stderr.decode()
    status, answer = json.loads(done.stdout)
    return status, answer


def test_idle_connections_of_one_user_keep_nobody_else_out(node: SharedNode) -> None:
    """300 of them: the others are answered, he himself is told; and after they are gone, too."""
    with _running(ALICE, _MANY, str(node.socket), "300", ""):
        assert _ask(node, BOB)[0] == 200
        assert _ask(node, 0, "/v1/admin/leases") == (200, [])
        status, error = _ask(node, ALICE)
        assert (status, error["kind"]) == (429, "too-many")
    assert _until_answered(node) == 200


def _until_answered(node: SharedNode) -> int:
    """The broker hears of closed connections one after the other."""
    for _ in range(20):
        status, _ = _ask(node, ALICE)
        if status == 200:
            break
    return status


def test_beyond_twice_as_many_he_is_hung_up_on(node: SharedNode) -> None:
    """A connection that says nothing costs a descriptor, and those are counted."""
    with _running(ALICE, _MANY, str(node.socket), "600", ""):
        assert _ask(node, ALICE)[0] == 0
        assert _ask(node, BOB)[0] == 200


def test_who_asks_too_much_too_fast_is_told(node: SharedNode) -> None:
    """Each request for a slice is logged and recorded; another user is served meanwhile."""
    asks = [{"kernel_id": f"k{number}", "size": "no-such-size"} for number in range(50)]
    script = _ASK_MANY.format(body=json.dumps({"requests": asks}))
    with _running(ALICE, script, str(node.socket)) as flood:
        done = node.asked(BOB, "run", "--size", "1g.5gb", "--", "true")
        assert done.returncode == 0, done.stderr
        assert flood.stdout is not None
        assert flood.stdout.readline() == "429\n"


def test_half_open_requests_of_one_user_keep_nobody_else_out(node: SharedNode) -> None:
    """A head without an end, and a body that is promised and does not come."""
    half = "POST /v1/leases HTTP/1.1\r\nHost: broker\r\nContent-Length: 900\r\n\r\n{"
    unfinished = _running(ALICE, _MANY, str(node.socket), "100", "GET /v1 HT")
    with unfinished, _running(ALICE, _MANY, str(node.socket), "100", half):
        assert _ask(node, BOB)[0] == 200


def test_a_user_who_hammers_keeps_nobody_else_out(node: SharedNode) -> None:
    """Several programs of his ask as fast as they can; another user's command is served."""
    with _running(ALICE, _HAMMER, str(node.socket)), _running(ALICE, _HAMMER, str(node.socket)):
        done = node.asked(BOB, "run", "--size", "1g.5gb", "--", "true")
        assert done.returncode == 0, done.stderr


def test_a_user_who_asks_for_ever_more_is_stopped(node: SharedNode) -> None:
    """At as many leases as the configuration says; another user still gets his slice."""
    pipe = subprocess.PIPE
    jobs = node.spawn(ALICE, "batch", "-", stdin=pipe, stdout=pipe, stderr=pipe)
    _, complained = jobs.communicate(b"1g.5gb true\n" * 61, timeout=60)
    assert jobs.returncode == 3, complained
    assert b"leases and requests" in complained
    bobs = node.asked(BOB, "run", "--size", "1g.5gb", "--", "true")
    assert bobs.returncode == 0, bobs.stderr


def test_plans_of_one_user_keep_nobody_else_out(node: SharedNode) -> None:
    """Each takes the broker as long as many other requests. He asks for them on 100 connections,
    and is given so many as take it a fifth of the time; the others wait, or are refused.
    """
    begun = time.monotonic()
    with _running(ALICE, _PLAN, str(node.socket), json.dumps({"sizes": ["1g.5gb"] * 128})) as flood:
        assert [_ask(node, BOB)[0] for _ in range(10)] == [200] * 10
        done = node.asked(BOB, "run", "--size", "1g.5gb", "--", "true")
        assert done.returncode == 0, done.stderr
        answered, _ = flood.communicate("\n", timeout=60)
    seconds = time.monotonic() - begun
    plans = json.loads(answered)
    assert plans["200"] <= (200 + 200 * seconds) / PLAN_MILLISECONDS
    assert plans.get("429", 0) <= 100 * (seconds + 1)


def test_batches_that_come_together_count_together(node: SharedNode) -> None:
    """30 of 25 each, at the same time, of one who may have 60 leases: two of them are taken."""
    with _running(ALICE, _TOGETHER, str(node.socket)) as asking:
        assert asking.stdout is not None
        answers = json.loads(asking.stdout.readline())
        assert sorted(status for status, _ in answers) == [200] * 2 + [429] * 28
        assert len(_ask(node, ALICE, "/v1/leases")[1]) == 50
