from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from jupyter_mig import errors
from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.door.door import Door
from jupyter_mig.broker.door.routes import OneUser
from jupyter_mig.broker.processes import boottime
from jupyter_mig.client import Client, Settings
from jupyter_mig.core import events
from jupyter_mig.core.leases import LeaseState
from tests.broker.asking import connected, heard, say
from tests.broker.brokers import Post, gone
from tests.broker.households import ask, changed_to, household


@pytest.fixture
def open_post(post: Post) -> Iterator[Post]:
    """A place where a broker listens."""
    asyncio.run(post.starter().start())
    yield post
    post.end()


ASK = {"kernel_id": "k", "size": "1g.5gb", "label": "a.ipynb", "wait_seconds": 5}


def test_curl_can_use_a_slice(open_post: Post) -> None:
    """The door is plain HTTP: whoever has curl can ask, look and give back."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl here")
    command = [curl, "-sS", "--unix-socket", str(open_post.socket)]
    answer = subprocess.run(
        [
            *command,
            "-d",
            '{"kernel_id":"k","size":"1g.5gb","wait_seconds":5}',
            "http://b/v1/leases",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert '"state":"granted"' in answer.stdout


def test_a_lease_from_asking_to_giving_back(open_post: Post) -> None:
    """Ask, bind, look, give back twice; the silicon agrees at every step."""
    status, lease = say(open_post.socket, "POST", "/v1/leases", ASK)
    assert (status, lease["state"], lease["label"]) == (200, "granted", "a.ipynb")
    assert open_post.instances() == [lease["slice"]["mig_uuid"]]
    path = f"/v1/leases/{lease['lease_id']}"
    with subprocess.Popen(["sleep", "60"]) as kernel:
        status, bound = say(open_post.socket, "PUT", f"{path}/kernel", {"pid": kernel.pid})
        assert (status, bound["state"], bound["kernel_pid"]) == (200, "bound", kernel.pid)
        kernel.kill()
        kernel.wait()
    assert say(open_post.socket, "DELETE", path)[0] == 200
    while (seen := say(open_post.socket, "GET", path)[1])["state"] != "released":
        say(open_post.socket, "GET", f"{path}?seen={seen['version']}&wait_seconds=5")
    status, over = say(open_post.socket, "DELETE", path)
    assert (status, over["state"], over["refusal"]) == (200, "released", None)
    assert say(open_post.socket, "GET", "/v1/leases") == (200, [])


def test_asking_twice_for_one_kernel_gives_one_lease(open_post: Post) -> None:
    """The kernel's id makes a request safe to repeat."""
    first = say(open_post.socket, "POST", "/v1/leases", ASK)[1]
    again = say(open_post.socket, "POST", "/v1/leases", ASK)[1]
    assert again["lease_id"] == first["lease_id"]
    assert len(open_post.instances()) == 1


def test_the_node_is_shown_with_labels(open_post: Post) -> None:
    """GPUs, instances with the asker's own labels, sizes; and that it is simulated."""
    say(open_post.socket, "POST", "/v1/leases", ASK)
    status, node = say(open_post.socket, "GET", "/v1/node")
    assert status == 200
    assert node["simulated"] is True
    (gpu,) = node["gpus"]
    assert (gpu["units"], gpu["mode"], gpu["problem"]) == (8, "dynamic", "")
    (instance,) = gpu["instances"]
    assert (instance["state"], instance["label"], instance["width"]) == ("held", "a.ipynb", 1)
    small = next(size for size in node["sizes"] if size["size"] == "1g.5gb")
    assert (small["free"], small["total"]) == (6, 7)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"[]", "Expected object, got array"),
        (b'{"size":"1g.5gb"}', "missing required field kernel_id"),
        (b'{"kernel_id":"k","size":5}', "Field size: expected str"),
        (b'{"kernel_id":"","size":"1g.5gb"}', "Field kernel_id"),
        (b'{"kernel_id":"k","size":"1g.5gb","patience_seconds":-1}', "Field patience_seconds"),
        (b'{"kernel_id":"k","size":"1g.5gb","sise":1}', "unknown field sise"),
        (b'{"kernel_id":"\xff","size":"1g.5gb"}', "not JSON"),
    ],
)
def test_bad_json_gets_one_clear_line(open_post: Post, body: bytes, words: str) -> None:
    """400, and a line that names the field; no quotes, no traceback."""
    status, error = say(open_post.socket, "POST", "/v1/leases", body)
    assert (status, error["kind"]) == (400, "bad-request")
    assert words in error["message"]
    assert "\n" not in error["message"]
    assert not set(error["message"]) & set("`'\"%")


@pytest.mark.parametrize(
    ("method", "target", "status", "kind"),
    [
        ("GET", "/", 400, "bad-request"),
        ("GET", "/v2/leases", 400, "bad-request"),
        ("DELETE", "/v1/node", 400, "bad-request"),
        ("GET", "/v1/leases/none-of-mine", 404, "unknown-lease"),
        ("DELETE", "/v1/leases/none-of-mine", 404, "unknown-lease"),
        ("POST", "/v1/leases/none-of-mine/renewal", 404, "unknown-lease"),
        ("GET", "/v1/leases/x?wait_seconds=soon", 404, "unknown-lease"),
    ],
)
def test_errors_are_errors_of_ours(
    open_post: Post, method: str, target: str, status: int, kind: str
) -> None:
    """Unknown paths, methods and leases are answered as every error is."""
    answered, error = say(open_post.socket, method, target)
    assert (answered, error["kind"]) == (status, kind)


def test_odd_queries_are_refused(open_post: Post) -> None:
    """A query that cannot be read is named, too."""
    lease = say(open_post.socket, "POST", "/v1/leases", ASK)[1]
    path = f"/v1/leases/{lease['lease_id']}"
    for query in ("wait_seconds=soon", "wait_seconds=-1", "seen=x", "surprise=1"):
        status, error = say(open_post.socket, "GET", f"{path}?{query}")
        assert (status, error["kind"]) == (400, "bad-request"), query


def test_a_huge_body_is_refused_and_half_a_request_dropped(open_post: Post) -> None:
    """Too long gets a clear answer, far too long is not read, half a request holds nobody up."""
    status, error = say(open_post.socket, "POST", "/v1/leases", b"x" * 100_000)
    assert (status, error["kind"]) == (400, "bad-request")
    assert "longer" in error["message"]
    with connected(open_post.socket) as far_too_long:
        far_too_long.sendall(
            b"POST /v1/leases HTTP/1.1\r\nHost: b\r\nContent-Length: 99999999\r\n\r\n"
        )
        assert heard(far_too_long).startswith(b"HTTP/1.1 400")
    with connected(open_post.socket) as half, connected(open_post.socket) as noise:
        half.sendall(b"POST /v1/leases HTTP/1.1\r\nContent-Le")
        noise.sendall(b"\x16\x03\x01\x00\xff\x00\r\n\r\n")
        assert say(open_post.socket, "GET", "/v1")[0] == 200
    log = (open_post.directory / "broker.log").read_text()
    assert "Traceback" not in log


def test_two_hundred_askers_at_once(open_post: Post) -> None:
    """All connect before any is answered, and all are answered."""
    connections = [connected(open_post.socket) for _ in range(200)]
    for connection in connections:
        connection.sendall(b"GET /v1/node HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
    answers = [heard(connection) for connection in connections]
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    for connection in connections:
        connection.close()


def test_a_long_poll_answers_on_change_and_not_before(open_post: Post) -> None:
    """It returns at once for another version, in time for none, and early for a change."""
    lease = say(open_post.socket, "POST", "/v1/leases", ASK)[1]
    path = f"/v1/leases/{lease['lease_id']}"
    began = time.monotonic()
    assert say(open_post.socket, "GET", f"{path}?seen=0&wait_seconds=30")[0] == 200
    assert time.monotonic() - began < 25
    began = time.monotonic()
    same = say(open_post.socket, "GET", f"{path}?seen={lease['version']}&wait_seconds=0.3")[1]
    assert same["version"] == lease["version"]
    assert time.monotonic() - began >= 0.3
    with connected(open_post.socket) as poll:
        poll.sendall(
            f"GET {path}?seen={lease['version']}&wait_seconds=30 HTTP/1.1\r\n"
            "Host: b\r\nConnection: close\r\n\r\n".encode()
        )
        say(open_post.socket, "DELETE", path)
        assert b'"held_seconds"' in heard(poll)
    assert time.monotonic() - began < 25


def test_hanging_up_does_not_take_a_request_back(open_post: Post) -> None:
    """The process, not the connection, is what a request hangs on."""
    say(open_post.socket, "POST", "/v1/leases", {**ASK, "size": "7g.40gb"})
    ask = b'{"kernel_id":"second","size":"7g.40gb","patience_seconds":null,"wait_seconds":30}'
    with connected(open_post.socket) as impatient:
        impatient.sendall(
            b"POST /v1/leases HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n%s" % (len(ask), ask)
        )
        while not (second := _lease_of(open_post, "second")):
            pass
    assert second["state"] == "waiting"
    assert second["place"] == 1
    status, _ = say(open_post.socket, "DELETE", f"/v1/leases/{second['lease_id']}")
    assert status == 200
    assert _lease_of(open_post, "second") is None
    status, error = say(open_post.socket, "GET", f"/v1/leases/{second['lease_id']}")
    assert (status, error["kind"]) == (410, "cancelled")


def _lease_of(post: Post, kernel_id: str) -> dict[str, object] | None:
    leases = say(post.socket, "GET", "/v1/leases")[1]
    return next((lease for lease in leases if lease["kernel_id"] == kernel_id), None)


def test_a_stranger_cannot_be_the_kernel(open_post: Post) -> None:
    """Only the asker or its descendants may be bound: not init, not nobody."""
    lease = say(open_post.socket, "POST", "/v1/leases", ASK)[1]
    path = f"/v1/leases/{lease['lease_id']}/kernel"
    for pid in (1, os.getppid(), 4_000_000):
        status, error = say(open_post.socket, "PUT", path, {"pid": pid})
        assert (status, error["kind"]) == (403, "not-the-holder"), pid
    with subprocess.Popen(["sleep", "60"]) as child:
        assert say(open_post.socket, "PUT", path, {"pid": child.pid})[0] == 200
        child.kill()


def test_another_user_is_refused(open_post: Post) -> None:
    """The kernel says who asks; a lease id that leaked is worth nothing."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    open_post.directory.parent.parent.chmod(0o755)
    open_post.directory.parent.chmod(0o755)
    open_post.directory.chmod(0o755)
    open_post.socket.chmod(0o666)
    script = f"""
import os, socket
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect({str(open_post.socket)!r})
connection.sendall(b"GET /v1/leases HTTP/1.1\\r\\nHost: b\\r\\nConnection: close\\r\\n\\r\\n")
print(connection.recv(65536).decode())
"""
    said = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert said.stdout.startswith("HTTP/1.1 403")
    assert "foreign-broker" in said.stdout


async def test_another_users_lease_looks_like_none(runtime: Path) -> None:
    """To look at it, to end it, to bind it, to keep it, to resize it: there is no such lease."""
    path = runtime / "door.sock"
    with household(runtime) as home:
        async with home.started() as service:
            theirs = msgspec.structs.replace(ask("k", "1g.5gb"), owner=os.getuid() + 1, label="s")
            await service.post(events.SlicesRequested((theirs,)))
            lease = service.state.leases[theirs.lease_id]
            await changed_to(service, lease, LeaseState.GRANTED)
            door = Door(service, home.driver, Keys(b"secret"), OneUser(os.getuid()))
            door.open(path)
            client = Client(Settings(home.driver.name, path))
            assert await client.leases() == []
            for attempt in (
                client.lease(lease.lease_id),
                client.release(lease.lease_id),
                client.bind(lease.lease_id, os.getpid()),
                client.renew(lease.lease_id),
                client.resize(lease.lease_id, "2g.10gb"),
            ):
                with pytest.raises(errors.UnknownLease):
                    await attempt
            (instance,) = (await client.node()).gpus[0].instances
            assert (instance.state, instance.mine, instance.label) == ("held", False, "")
            assert instance.lease_id is None
            assert lease.state is LeaseState.GRANTED
            await door.close()


def test_a_resize_that_cannot_fit_is_refused_before_anything_stops(open_post: Post) -> None:
    """The lease keeps its slice; one that fits is parked."""
    say(open_post.socket, "POST", "/v1/leases", {**ASK, "kernel_id": "l", "size": "3g.20gb"})
    one = say(open_post.socket, "POST", "/v1/leases", {**ASK, "size": "3g.20gb"})[1]
    assert one["slice"]["start"] == 0
    path = f"/v1/leases/{one['lease_id']}"
    status, error = say(open_post.socket, "POST", f"{path}/resize", {"size": "7g.40gb"})
    assert (status, error["kind"]) == (503, "no-room")
    assert say(open_post.socket, "GET", path)[1]["slice"] == one["slice"]
    assert say(open_post.socket, "POST", f"{path}/resize", {"size": "4g.20gb"})[0] == 200


def test_a_requester_that_dies_takes_its_requests_along(open_post: Post) -> None:
    """SIGKILL of the asking process while it waits and while it holds, before any kernel."""
    script = f"""
import http.client, sys
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from tests.broker.asking import say
socket = Path({str(open_post.socket)!r})
for number in (1, 2):
    say(socket, "POST", "/v1/leases",
        {{"kernel_id": f"k{{number}}", "size": "7g.40gb", "patience_seconds": None}})
print("asked", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as asker:
        assert asker.stdout is not None
        assert asker.stdout.readline() == b"asked\n"
        assert len(say(open_post.socket, "GET", "/v1/leases")[1]) == 2
        asker.kill()
    began = boottime()
    while say(open_post.socket, "GET", "/v1/leases")[1] or open_post.instances():
        assert boottime() - began < 10, "a dead process still has its slice"


def test_a_stopped_broker_hangs_up(open_post: Post) -> None:
    """A long poll does not keep a broker that was told to end."""
    lease = say(open_post.socket, "POST", "/v1/leases", ASK)[1]
    with connected(open_post.socket) as poll:
        poll.sendall(
            f"GET /v1/leases/{lease['lease_id']}?seen={lease['version']}&wait_seconds=50 HTTP/1.1"
            "\r\nHost: b\r\n\r\n".encode()
        )
        say(open_post.socket, "GET", "/v1")
        gone(open_post.pid, 15)
        assert heard(poll) == b""
    assert not open_post.socket.exists()
