from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.client import Client, Settings
from jupyter_mig.client.connection import Answer, Gone
from jupyter_mig.client.remote import Remote
from jupyter_mig.client.system import SystemBroker
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import PROTOCOL, BrokerView, LeaseRequest, LeaseView
from tests.broker.brokers import Orders, Post, until

SMALL = LeaseRequest(kernel_id="small", size="1g.5gb")
WHOLE = LeaseRequest(kernel_id="whole", size="7g.40gb", patience_seconds=None)


def at(path: Path, driver: str = "simulated:1xA30") -> Client:
    """A client that talks to exactly that socket, and not for long."""
    return Client(Settings(driver=driver, socket=path, answer_seconds=0.5))


async def nothing_left(post: Post) -> bool:
    """Whether no lease and no instance remains."""
    return not await post.client().leases() and not post.instances()


# -- waiting and taking back


async def test_waiting_shows_what_changes_until_there_is_room(post: Post) -> None:
    """The caller sees its place in line, then gets the slice that was given back."""
    client, shown = post.client(), list[LeaseView]()
    first = await client.acquire(SMALL)
    waiting = asyncio.ensure_future(client.acquire(WHOLE, shown.append))

    async def in_line() -> bool:
        return bool(shown)

    await until(in_line)
    assert (shown[0].state, shown[0].place) == ("waiting", 1)
    await client.release(first.lease_id)
    lease = await asyncio.wait_for(waiting, 20)
    assert lease.slice is not None
    assert lease.slice.profile == "7g.40gb"
    await client.release(lease.lease_id)


async def test_a_cancelled_wait_leaves_the_line(post: Post) -> None:
    """When the cancelled call has ended, its request is gone."""
    client = post.client()
    await client.acquire(SMALL)
    seen = asyncio.Event()
    waiting = asyncio.ensure_future(client.acquire(WHOLE, lambda _: seen.set()))
    await asyncio.wait_for(seen.wait(), 20)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [lease.kernel_id for lease in await client.leases()] == ["small"]


@pytest.mark.parametrize("steps", range(0, 60, 3))
async def test_a_call_cancelled_at_any_moment_leaves_nothing(post: Post, steps: int) -> None:
    """After any number of turns of the loop: no lease is left with nobody who knows of it."""
    client = post.client()
    await client.broker()
    acquiring = asyncio.ensure_future(client.acquire(SMALL))
    for _ in range(steps):
        await asyncio.sleep(0)
    acquiring.cancel()
    try:
        lease = await acquiring
    except asyncio.CancelledError:
        await until(lambda: nothing_left(post))
    else:
        assert lease.state == "granted"


async def test_a_caller_that_fails_meanwhile_gives_back(post: Post) -> None:
    """Whatever the callback raises reaches the caller, and the request is taken back."""
    client = post.client()
    first = await client.acquire(SMALL)

    def fail(view: LeaseView) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await client.acquire(WHOLE, fail)
    await client.release(first.lease_id)
    await until(lambda: nothing_left(post))


async def test_no_room_is_raised_with_what_to_do(post: Post) -> None:
    """The refusal arrives as its class, with the broker's words."""
    client = post.client()
    await client.acquire(SMALL)
    with pytest.raises(errors.NoRoom) as caught:
        await client.acquire(msgspec.structs.replace(WHOLE, patience_seconds=0))
    assert str(caught.value).count("\n") == 2
    with pytest.raises(errors.OutOfPatience):
        await client.acquire(msgspec.structs.replace(WHOLE, patience_seconds=0.1))
    with pytest.raises(errors.UnknownSize, match=r"no size 1g\.6gb"):
        await client.acquire(LeaseRequest(kernel_id="odd", size="1g.6gb"))
    assert [lease.kernel_id for lease in await client.leases()] == ["small"]


async def test_a_request_cancelled_by_somebody_else_says_so(post: Post) -> None:
    """Another client of the same user takes it back: the one that waits hears of it."""
    client = post.client()
    await client.acquire(SMALL)
    shown = asyncio.Queue[LeaseView]()
    waiting = asyncio.ensure_future(client.acquire(WHOLE, shown.put_nowait))
    await post.client().release((await shown.get()).lease_id)
    with pytest.raises(errors.Cancelled):
        await asyncio.wait_for(waiting, 20)


# -- the broker's death


async def test_a_wait_outlives_the_broker(post: Post) -> None:
    """Killed while somebody waits in line: the place in line is kept, and served."""
    client = post.client()
    first = await client.acquire(SMALL)
    shown = asyncio.Queue[LeaseView]()
    waiting = asyncio.ensure_future(client.acquire(WHOLE, shown.put_nowait))
    lease_id = (await shown.get()).lease_id
    pid = post.pid
    post.end(signal.SIGKILL)
    await post.client().release(first.lease_id)
    lease = await asyncio.wait_for(waiting, 20)
    assert lease.lease_id == lease_id
    assert post.pid != pid


async def test_a_broker_that_keeps_dying_is_given_up(post: Post) -> None:
    """Not for ever: after some attempts the error names the log."""
    client = post.client()
    with pytest.raises(errors.BrokerUnreachable, match="goes away"):
        await client._persistently(_gone)


@pytest.mark.parametrize(
    ("settings", "where", "who_can_tell"),
    [
        (Settings(system=SystemBroker(Path("/run/x"), "nvml", 0)), "/run/x", "systemctl status"),
        (Settings(remote=Remote("https://dgx:8123")), "https://dgx:8123", "administrator of that"),
    ],
    ids=["the node's", "another node's"],
)
async def test_of_a_broker_that_others_start_its_administrator_is_named(
    settings: Settings, where: str, who_can_tell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there a moment ago. Its log is nothing that its users can read."""
    monkeypatch.setattr("jupyter_mig.client.client._REVIVE_SECONDS", 0.0)
    client = Client(settings)
    client._has_met = True
    with pytest.raises(errors.BrokerUnreachable, match="goes away") as gone:
        await client._persistently(_gone)
    assert where in gone.value.situation
    assert who_can_tell in gone.value.next_step


async def _gone() -> Answer:
    raise Gone


async def test_the_death_of_its_server_does_not_end_a_bound_lease(post: Post) -> None:
    """SIGKILL of the process that asked: as long as the kernel lives, the slice is its own."""
    client = post.client()
    await client.broker()
    script = f"""
import asyncio, os, signal, subprocess
from pathlib import Path
from jupyter_mig.client import Client, Settings
from jupyter_mig.wire.messages import LeaseRequest
settings = Settings(driver={post.settings.driver!r},
                    runtime_directory=Path({str(post.settings.runtime_directory)!r}))
async def main():
    client = Client(settings)
    lease = await client.acquire(LeaseRequest(kernel_id="k", size="1g.5gb"))
    kernel = subprocess.Popen(["sleep", "60"])
    await client.bind(lease.lease_id, kernel.pid)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", script], check=False)  # noqa: ASYNC221 - short
    (lease,) = await client.leases()
    assert lease.state == "bound"
    assert lease.kernel_pid is not None
    os.kill(lease.kernel_pid, signal.SIGKILL)
    await until(lambda: nothing_left(post))


async def test_giving_a_question_up_hangs_up(runtime: Path) -> None:
    """A cancelled long poll does not keep an idle broker."""
    post = Post(runtime, orders=Orders(idle=0.2))
    client = post.client()
    with pytest.raises(errors.UnknownSize):
        await client.acquire(LeaseRequest(kernel_id="k", size="none"))
    lease = await client.acquire(SMALL)
    over = await client.release(lease.lease_id)
    while over.state != "released":
        over = await client.lease(lease.lease_id, over.version, 10)
    poll = asyncio.ensure_future(client.lease(lease.lease_id, over.version, 50))
    done, _ = await asyncio.wait((poll,), timeout=1)
    assert not done, "the broker left although somebody was there"
    pid = post.pid
    poll.cancel()

    async def left() -> bool:
        return processes.find(pid) is None

    await until(left)


# -- whose broker it is


async def test_a_socket_where_nobody_listens_is_unreachable(runtime: Path) -> None:
    """None is started: the error names the variable and the path."""
    for path in (runtime / "gone.sock", runtime):
        with pytest.raises(errors.BrokerUnreachable) as caught:
            await at(path).broker()
        assert str(path) in caught.value.situation
    assert os.listdir(runtime) == []  # noqa: PTH208 - pathlib is not for coroutines


async def test_a_socket_path_that_is_too_long_is_said_to_be(runtime: Path) -> None:
    """Before anything is tried."""
    with pytest.raises(errors.BadPlace, match="too long"):
        await at(runtime / ("x" * 120)).broker()


async def test_a_real_driver_and_a_simulated_one_are_not_mixed(post: Post) -> None:
    """Whoever asked for the real driver is not given a simulated slice, whatever the socket."""
    await post.client().broker()
    assert (await at(post.socket).broker()).simulated
    with pytest.raises(errors.ForeignBroker, match="another driver"):
        await at(post.socket, "nvml").acquire(SMALL)
    assert await post.client().leases() == []


async def test_another_users_broker_is_not_talked_to(runtime: Path) -> None:
    """The kernel says who listens; nothing is sent."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    os.chmod(runtime, 0o777)  # noqa: PTH101 - pathlib is not for coroutines
    path = runtime / "trap.sock"
    script = f"""
import os, socket
os.setuid(65534)
trap = socket.socket(socket.AF_UNIX)
trap.bind({str(path)!r})
trap.listen()
print("listening", flush=True)
print(trap.accept()[0].recv(100), flush=True)
"""
    with subprocess.Popen(  # noqa: ASYNC220 - short
        [sys.executable, "-c", script], stdout=subprocess.PIPE
    ) as trap:
        assert trap.stdout is not None
        assert trap.stdout.readline() == b"listening\n"
        with pytest.raises(errors.ForeignBroker, match="user 65534"):
            await at(path).broker()
        assert trap.stdout.readline() == b"b''\n"


@asynccontextmanager
async def answering(path: Path, answer: bytes) -> AsyncIterator[None]:
    """Somebody who listens at ``path`` and says the same to everyone; nothing if it is empty."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


def http(body: bytes, status: str = "200 OK") -> bytes:
    """An answer."""
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def view(**changes: object) -> bytes:
    """How a broker introduces itself."""
    broker = BrokerView(1, "0.1.0", "simulated:1xA30", True, 1, os.getuid())
    return http(codec.encode(msgspec.structs.replace(broker, **changes)))


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (view(driver="nvml", simulated=False), errors.ForeignBroker, "another driver"),
        (view(protocol=PROTOCOL + 2), errors.ForeignBroker, f"protocol {PROTOCOL + 2}"),
        (view(protocol=PROTOCOL - 2), errors.ForeignBroker, "kernels keep their slices"),
        (http(b"<html>"), errors.BrokerError, "cannot be read"),
        (http(b"{}", "500 Oops"), errors.BrokerError, "cannot be read"),
        (b"SSH-2.0-OpenSSH\r\n", errors.BrokerUnreachable, "No broker answers"),
        (b"", errors.BrokerUnreachable, "does not answer"),
    ],
)
async def test_whoever_else_listens_there_is_told_apart(
    runtime: Path, answer: bytes, kind: type[Exception], words: str
) -> None:
    """A real broker, a newer one, no broker at all, one that says nothing: each a clear error."""
    path = runtime / "other.sock"
    async with answering(path, answer):
        with pytest.raises(kind, match=words):
            await at(path).broker()


@pytest.mark.parametrize("newer", [1, -1])
async def test_the_next_and_the_last_protocol_are_understood(runtime: Path, newer: int) -> None:
    """A broker outlives an upgrade of the package, and a newer one's words may be more."""
    path = runtime / "other.sock"
    body = msgspec.json.decode(view().partition(b"\r\n\r\n")[2])
    answer = http(msgspec.json.encode({**body, "protocol": PROTOCOL + newer, "new": ["word"]}))
    async with answering(path, answer):
        assert (await at(path).broker()).protocol == PROTOCOL + newer


async def test_a_named_broker_that_is_started_again_is_used_again(post: Post) -> None:
    """With JUPYTER_MIG_SOCKET the broker is not ours to start, but it may come back."""
    await post.client().broker()
    client = at(post.socket)
    pid = (await client.broker()).pid
    post.end(signal.SIGKILL)
    asking = asyncio.ensure_future(client.broker())
    await post.starter().start()
    assert (await asking).pid != pid
    post.end(signal.SIGKILL)
    with pytest.raises(errors.BrokerUnreachable):
        await client.broker()


async def test_a_full_backlog_is_waited_out(runtime: Path) -> None:
    """A door that is too busy to accept is tried again, and given up in time."""
    path = runtime / "busy.sock"
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))
            with pytest.raises(errors.BrokerUnreachable, match="too busy"):
                await at(path).broker()
