"""What users of a node try against its broker and each other: real users, real processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.broker.opening import CLOSED, opening
from tests.broker.system.managed_node import managed_node
from tests.broker.system.shared_node import ALICE, BOB, SharedNode, lacking, shared_node

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")

_CONNECT_AND_HAND_ON = """
import socket, sys
path, number = sys.argv[1], int(sys.argv[2])
to = socket.socket(fileno=number)
line = socket.socket(socket.AF_UNIX)
line.connect(path)
socket.send_fds(to, [b"x"], [line.fileno()])
to.recv(1)
"""

_SAY = """
import http.client, json, os, socket, sys
path, asks = sys.argv[1], json.loads(sys.argv[2])
line = http.client.HTTPConnection("broker", timeout=30)
line.sock = socket.socket(socket.AF_UNIX)
line.sock.connect(path)
for method, target, body in asks:
    line.request(method, target, json.dumps(body) if body else None)
    answer = line.getresponse()
    print(json.dumps([answer.status, json.loads(answer.read())]), flush=True)
sys.stdin.read()
"""

_SU = """
import http.client, json, os, signal, socket, sys, time
path, hers, his = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def become(uid):
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
out, into = os.pipe()
child = os.fork()
if child == 0:
    become(his)
    os.write(into, b"x")
    time.sleep(60)
os.read(out, 1)
line = http.client.HTTPConnection("broker", timeout=30)
def ask(method, target, body):
    line.request(method, target, json.dumps(body))
    answer = line.getresponse()
    return answer.status, json.loads(answer.read())
killer = os.fork()
if killer == 0:  # the child is his: root ends it when she has ended
    os.read(out, 1)
    os.kill(child, signal.SIGKILL)
    os._exit(0)
become(hers)
line.sock = socket.socket(socket.AF_UNIX)
line.sock.connect(path)
asked, lease = ask(
    "POST", "/v1/leases", {"kernel_id": "su", "size": "1g.5gb", "wait_seconds": 20}
)
bound, error = ask("PUT", "/v1/leases/%s/kernel" % lease["lease_id"], {"pid": child})
print(json.dumps([asked, bound, error["kind"]]))
os.write(into, b"x")
"""

_TRY = """
import ctypes, os, signal, sys
pid, kind = int(sys.argv[1]), sys.argv[2]
def trace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, None, None):  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")
tries = {
    "kill": lambda: os.kill(pid, signal.SIGKILL),
    "stop": lambda: os.kill(pid, signal.SIGSTOP),
    "pidfd": lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL),
    "trace": trace,
    "environ": lambda: open(f"/proc/{pid}/environ", "rb").read(),
    "memory": lambda: open(f"/proc/{pid}/mem", "rb").read(1),
    "files": lambda: os.listdir(f"/proc/{pid}/fd"),
    "limits": lambda: __import__("resource").prlimit(pid, 7, (3, 3)),
}
try:
    tries[kind]()
except PermissionError:
    print("refused")
"""


@pytest.fixture(scope="module")
def node() -> Iterator[SharedNode]:
    """One node for all of them: it outlives them."""
    if lacking():
        pytest.skip(lacking())
    with shared_node() as one:
        one.start()
        before = one.processes()
        yield one
        assert one.processes() == before
        assert "Traceback" not in one.said()


def _as_user(uid: int) -> dict[str, Any]:
    return {"user": uid, "group": uid, "extra_groups": [], "cwd": "/"}


@contextmanager
def _asking(
    node: SharedNode, uid: int, *asks: tuple[str, str, Any], inside: tuple[str, ...] = ()
) -> Iterator[list[tuple[int, Any]]]:
    """A process of that user's that asks, one thing after the other, and lives on; the answers."""
    command = ["/usr/bin/python3", "-c", _SAY, str(node.socket), json.dumps(asks)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*inside, *command], stdin=pipe, stdout=pipe, text=True, **_as_user(uid)
    ) as process:
        assert process.stdout is not None
        yield [tuple(json.loads(process.stdout.readline())) for _ in asks]
        process.communicate(timeout=60)


def _said(node: SharedNode, uid: int, *ask: Any, inside: tuple[str, ...] = ()) -> tuple[int, Any]:
    """The answer to one thing."""
    with _asking(node, uid, (*ask, *[None] * (3 - len(ask))), inside=inside) as (answer,):
        return answer


def _wish(name: str) -> tuple[str, str, dict[str, object]]:
    """A request for a slice."""
    return "POST", "/v1/leases", {"kernel_id": name, "size": "1g.5gb", "wait_seconds": 20}


def _answer(line: socket.socket, method: str, target: str, body: object = None) -> tuple[int, Any]:
    """Ask on a connection that is somebody's."""
    said = json.dumps(body).encode() if body else b""
    line.sendall(
        f"{method} {target} HTTP/1.1\r\nHost: b\r\nContent-Length: {len(said)}\r\n\r\n".encode()
        + said
    )
    with line.makefile("rb") as answer:
        status = int(answer.readline().split()[1])
        headers = dict(each.split(b": ", 1) for each in iter(answer.readline, b"\r\n"))
        return status, json.loads(answer.read(int(headers[b"Content-Length"])))


class HandedOn(NamedTuple):
    """A process that has connected, and its connection, which somebody else has now."""

    process: subprocess.Popen[bytes]
    line: socket.socket
    leash: socket.socket

    def end(self) -> None:
        """Let the process go, and see it gone."""
        self.leash.shutdown(socket.SHUT_RDWR)
        self.process.wait(60)


@contextmanager
def _handed_on(node: SharedNode, *inside: str, **who: Any) -> Iterator[HandedOn]:
    """Such a connection."""
    ours, theirs = socket.socketpair()
    command = ["/usr/bin/python3", "-c", _CONNECT_AND_HAND_ON]
    with closing(ours), theirs:
        process = subprocess.Popen(
            [*inside, *command, str(node.socket), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            **who,
        )
        theirs.close()
        _, (number,), _, _ = socket.recv_fds(ours, 1, 1)
        with socket.socket(fileno=number) as line:
            line.settimeout(60)
            one = HandedOn(process, line, ours)
            yield one
            one.end()


@pytest.mark.parametrize(
    "kind", ["kill", "stop", "pidfd", "trace", "environ", "memory", "files", "limits"]
)
def test_users_do_not_reach_the_brokers_processes(node: SharedNode, kind: str) -> None:
    """Neither root's helper nor the one that serves: not to end them, nor to look into them."""
    for pid in node.processes():
        done = subprocess.run(
            ["/usr/bin/python3", "-c", _TRY, str(pid), kind],
            check=False,
            capture_output=True,
            **_as_user(ALICE),
        )
        assert done.stdout == b"refused\n", done.stderr
    assert _said(node, BOB, "GET", "/v1")[0] == 200


@pytest.mark.parametrize("kind", ["environ", "memory", "trace"])
def test_a_key_is_not_read_from_anothers_kernel(node: SharedNode, kind: str) -> None:
    """It stands in the environment of a process of his."""
    with subprocess.Popen(["/bin/sleep", "60"], **_as_user(ALICE)) as kernel:
        done = subprocess.run(
            ["/usr/bin/python3", "-c", _TRY, str(kernel.pid), kind],
            check=False,
            capture_output=True,
            **_as_user(BOB),
        )
        kernel.kill()
    assert done.stdout == b"refused\n", done.stderr


def test_what_stands_in_its_directories_is_not_for_users(node: SharedNode) -> None:
    """They cannot take the socket's place, remove it or lead it elsewhere, nor read the rest."""
    run, state, helper = (node.directory / each for each in ("run", "state", "helper"))
    for attempt in (
        f"rm -f {node.socket} || mv {node.socket} {run}/x || mv {run} {run}x || ln -s / {run}/x",
        f"ls {state} || ls {helper} || cat {state}/keys.secret || touch {state}/x {helper}/x",
        f"chmod 777 {node.socket} {run} {state} || rm -r {state} || mv {state} {state}x",
    ):
        tried = subprocess.run(
            ["/bin/sh", "-c", attempt], check=False, capture_output=True, **_as_user(ALICE)
        )
        assert tried.returncode != 0, tried
    assert _said(node, BOB, "GET", "/v1")[0] == 200


@pytest.mark.parametrize("place", ["run", "state", "helper"])
@pytest.mark.parametrize("how", ["link", "squat"])
def test_a_place_that_a_user_took_before_it_is_not_used(place: str, how: str) -> None:
    """A link would lead root elsewhere; in a directory of his own he could change what he likes."""
    if lacking():
        pytest.skip(lacking())
    with shared_node() as node:
        elsewhere = node.directory / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        if how == "link":
            (node.directory / place).symlink_to(elsewhere)
            os.chown(node.directory / place, ALICE, ALICE, follow_symlinks=False)
        else:
            (node.directory / place).mkdir()
            os.chown(node.directory / place, ALICE, ALICE)
        refused = node.asked(0, "broker", "--config", str(node.configuration))
        assert refused.returncode != 0
        words = b"is a link" if how == "link" else b"belongs to somebody else"
        assert words in refused.stderr
        assert b"Traceback" not in refused.stderr
        assert (elsewhere.stat().st_uid, elsewhere.stat().st_mode & 0o777) == (0, 0o700)


@pytest.mark.parametrize("place", ["run", "state", "helper"])
@pytest.mark.parametrize(
    ("mode", "files", "words"),
    [
        (0o1777, (), "Others may write there"),
        (0o775, (), "Others may write there"),
        (0o755, ("dbus",), "not empty: 'dbus' is in it"),
        (0o755, ("broker.sock", "made.json", "x"), "is in it"),
    ],
)
def test_a_directory_that_others_use_is_not_taken(
    place: str, mode: int, files: tuple[str, ...], words: str
) -> None:
    """``/run`` would be the broker's, and ``/tmp`` closed to all: said by --check, too."""
    if lacking():
        pytest.skip(lacking())
    with shared_node() as node:
        taken = node.directory / place
        taken.mkdir()
        for name in files:
            (taken / name).touch()
        taken.chmod(mode)
        for more in ((), ("--check",)):
            refused = node.asked(0, "broker", "--config", str(node.configuration), *more)
            said = refused.stderr.decode()
            assert (refused.returncode != 0, f"{taken} is not" in said, words in said) == (
                True,
                True,
                True,
            ), said
        found = taken.stat()
        assert (found.st_uid, found.st_mode & 0o7777) == (0, mode)


@pytest.mark.parametrize("place", ["run", "state", "helper"])
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_directory_made_for_it_is_taken(place: str, mode: int) -> None:
    """By an administrator or by systemd, which gives the helper's, and what is in that of the
    socket, back to root at each start.
    """
    if lacking():
        pytest.skip(lacking())
    with shared_node() as node:
        made = node.directory / place
        made.mkdir()
        for _ in range(2):
            made.chmod(mode)
            if place != "state":
                for each in (made, *made.iterdir()):
                    os.chown(each, 0, 0)
            checked = node.asked(0, "broker", "--config", str(node.configuration), "--check")
            assert checked.returncode == 0, checked.stderr
            node.start()
            node.kill()


def test_a_connection_that_was_handed_on_makes_nobody_a_holder(node: SharedNode) -> None:
    """Who lets another use her connection lets him see her leases; a process of his is not tied to
    any, and the device nodes are hers.
    """
    with _handed_on(node, **_as_user(ALICE)) as (_, line, _):
        status, lease = _answer(line, *_wish("handed on"))
        assert status == 200, lease
        with subprocess.Popen(["/bin/sleep", "60"], **_as_user(BOB)) as bobs:
            status, error = _answer(
                line, "PUT", f"/v1/leases/{lease['lease_id']}/kernel", {"pid": bobs.pid}
            )
            bobs.kill()
        assert (status, error["kind"]) == (403, "not-the-holder")
        mine = (node.tree / "dev" / "nvidia-caps").glob("nvidia-cap*")
        given = [each for each in mine if each.stat().st_uid == ALICE]
        assert given
        assert {opening(each, BOB) for each in given} == {CLOSED}
        assert _said(node, BOB, "GET", f"/v1/leases/{lease['lease_id']}")[0] == 404
        assert _answer(line, "DELETE", f"/v1/leases/{lease['lease_id']}")[0] == 200


def test_who_has_ended_asks_for_nothing_more(node: SharedNode) -> None:
    """His connection lives on elsewhere; a lease would hang on nobody."""
    with _handed_on(node, **_as_user(ALICE)) as one:
        one.end()
        status, error = _answer(one.line, *_wish("from beyond"))
        assert (status, error["kind"]) == (403, "not-the-holder")


@contextmanager
def _reborn(pid: int) -> Iterator[None]:
    """A process of root's, on the node itself, that has that pid."""
    time.sleep(2 * TICK_SECONDS)  # start times are known to a tick: no pid comes back so soon
    for _ in range(200):
        LAST_PID.write_text(str(pid - 1))
        process = subprocess.Popen(["/bin/sleep", "60"])
        try:
            if process.pid == pid:
                yield
                return
        finally:
            process.kill()
            process.wait()
    pytest.skip("others are given that pid again and again")


def test_a_pid_that_came_back_makes_no_administrator(node: SharedNode) -> None:
    """Root in a container connects and ends; a process of root's outside is given its pid; and what
    has the connection by then is still in the container.
    """
    into = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if subprocess.run([*into, "true"], check=False, capture_output=True).returncode:
        pytest.skip("pid namespaces cannot be made here")
    if not os.access(LAST_PID, os.W_OK):
        pytest.skip("pids cannot be chosen here")
    with _handed_on(node, *into) as one:
        pid = int(Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text())
        assert _answer(one.line, "GET", "/v1/admin/leases")[0] == 403
        one.end()
        with _reborn(pid):
            assert _answer(one.line, "GET", "/v1/admin/leases")[0] == 403


def test_nor_does_one_that_came_back_while_there_was_no_broker() -> None:
    """The manager keeps the door: who connects waits there through a restart, and longer."""
    into = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if lacking() or subprocess.run([*into, "true"], check=False, capture_output=True).returncode:
        pytest.skip(lacking() or "pid namespaces cannot be made here")
    if not os.access(LAST_PID, os.W_OK):
        pytest.skip("pids cannot be chosen here")
    with managed_node() as node, _handed_on(node, *into) as one:
        pid = int(Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text())
        one.end()
        with _reborn(pid):
            node.start()
            assert _answer(one.line, "GET", "/v1/admin/leases")[0] == 403


@pytest.mark.parametrize("how", ["--user", "--map-root-user"])
def test_a_user_namespace_is_no_second_quota(node: SharedNode, how: str) -> None:
    """Whatever number he sees for himself there, he is who he is here."""
    if subprocess.run(["unshare", how, "true"], check=False, **_as_user(ALICE)).returncode:
        pytest.skip("users cannot make user namespaces here")
    inside = ("unshare", how)
    with _asking(node, ALICE, _wish("inside"), inside=inside) as ((status, lease),):
        assert status == 200, lease
        _, leases = _said(node, ALICE, "GET", "/v1/leases")
        assert [each["lease_id"] for each in leases] == [lease["lease_id"]]
        assert _said(node, ALICE, "DELETE", f"/v1/leases/{lease['lease_id']}")[0] == 200


def test_a_kernel_that_became_another_user_is_not_held_by_the_first(node: SharedNode) -> None:
    """A child of hers, by ``su``, is his: it would hold a slice that is hers to answer for."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", _SU, str(node.socket), str(ALICE), str(BOB)],
        check=False,
        capture_output=True,
        cwd="/",
    )
    assert json.loads(done.stdout) == [200, 403, "not-the-holder"], done.stderr
