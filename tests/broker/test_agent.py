from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from jupyter_mig.client import Client, Settings
from jupyter_mig.wire import meeting
from jupyter_mig.wire.messages import ErrorBody, LeaseRequest
from tests.broker.asking import say
from tests.broker.brokers import Orders, Post, gone, until


def broker(directory: Path, driver: str = "simulated:1xA30") -> subprocess.CompletedProcess[bytes]:
    """The real broker process, for starts that come to nothing."""
    return subprocess.run(
        [sys.executable, "-m", "jupyter_mig.broker", "--place", str(directory), "--driver", driver],
        check=False,
        capture_output=True,
        timeout=30,
    )


def note(directory: Path) -> ErrorBody:
    """What a failed start left for whoever started it."""
    return msgspec.json.decode((directory / meeting.START_ERROR).read_bytes(), type=ErrorBody)


@pytest.mark.parametrize(
    ("driver", "kind"),
    [
        ("simulated:1xAbacus", "unknown-driver"),
        ("cuda", "unknown-driver"),
        ("nvml", "no-driver"),
    ],
)
def test_a_driver_that_cannot_be_opened_is_told(runtime: Path, driver: str, kind: str) -> None:
    """The process ends with 1 and leaves an error of the right kind; no traceback."""
    if driver == "nvml" and Path("/proc/driver/nvidia").exists():
        pytest.skip("there is an NVIDIA driver here")
    ended = broker(runtime, driver)
    assert ended.returncode == 1
    assert note(runtime).kind == kind
    assert b"Traceback" not in ended.stderr
    assert not (runtime / meeting.SOCKET).exists()


def test_a_place_that_is_taken_is_no_failure(runtime: Path) -> None:
    """The second broker ends with 0 and touches nothing."""
    (runtime / meeting.SOCKET).touch()
    with (runtime / meeting.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert broker(runtime).returncode == 0
    assert (runtime / meeting.SOCKET).exists()
    assert not (runtime / meeting.EVENTS).exists()


def test_a_place_that_is_none_is_told(runtime: Path) -> None:
    """Without a directory there is nowhere to leave a note; the output says it."""
    ended = broker(runtime / "nowhere")
    assert ended.returncode == os.EX_CANTCREAT
    assert b"The broker cannot use its directory" in ended.stderr
    assert b"Traceback" not in ended.stderr


async def test_what_a_dead_broker_left_is_replaced(post: Post) -> None:
    """A stale socket and a stale note are no obstacle."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(post.socket))
    (post.directory / meeting.START_ERROR).write_text('{"kind":"no-driver","message":"old"}')
    assert (await post.client().broker()).pid == post.pid
    assert not (post.directory / meeting.START_ERROR).exists()


async def test_only_the_owner_may_come_near(post: Post) -> None:
    """The socket is 0600, and so are log, lock and silicon."""
    await post.client().broker()
    open_to_others = [
        path.name
        for path in post.directory.iterdir()
        if path.stat().st_mode & 0o077 and path.name != "orders.json"
    ]
    assert open_to_others == []


async def test_sigterm_ends_it_in_good_order(post: Post) -> None:
    """The log is one snapshot, the socket is gone, leases live on in the next broker."""
    client = post.client()
    lease = await client.acquire(LeaseRequest(kernel_id="k", size="1g.5gb"))
    post.end(signal.SIGTERM)
    assert not post.socket.exists()
    database = sqlite3.connect(post.directory / meeting.EVENTS)
    assert database.execute("SELECT count(*) FROM events").fetchone() == (0,)
    assert database.execute("SELECT count(*) FROM snapshot").fetchone() == (1,)
    database.close()
    again = await client.lease(lease.lease_id)
    assert again.slice == lease.slice
    await client.release(lease.lease_id)


async def test_an_idle_broker_leaves(runtime: Path) -> None:
    """Without leases and connections it goes by itself; with a lease it stays."""
    post = Post(runtime, orders=Orders(idle=0.3))
    client = post.client()
    lease = await client.acquire(LeaseRequest(kernel_id="k", size="1g.5gb"))
    pidfd = os.pidfd_open(post.pid)
    try:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_exited(pidfd), 1)
        await client.release(lease.lease_id)
        await asyncio.wait_for(_exited(pidfd), 60)
    finally:
        os.close(pidfd)
    assert not post.socket.exists()
    assert post.instances() == []


async def _exited(pidfd: int) -> None:
    """Return once a process has ended."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)


ROOT = Path(__file__).parents[2]
ASKER = """
import sys
from pathlib import Path
from tests.broker.asking import say
request = {"kernel_id": "k", "size": "1g.5gb"}
print(say(Path(sys.argv[1]), "POST", "/v1/leases", request), flush=True)
sys.stdin.read()
"""


async def test_a_broker_whose_place_was_removed_leaves(runtime: Path) -> None:
    """As long as the process lives that has a slice it stays; then it goes, log or no log."""
    post = Post(runtime, orders=Orders(idle=0.3))
    await post.starter().start()
    with subprocess.Popen(  # noqa: ASYNC220 - it is quick
        [sys.executable, "-c", ASKER, str(post.socket)], cwd=ROOT, stdin=-1, stdout=-1
    ) as asker:
        assert asker.stdout is not None
        assert b"lease_id" in asker.stdout.readline()
        pidfd = os.pidfd_open(post.pid)
        # Renamed first: the broker makes files by path, and would fill what rmtree empties.
        shutil.rmtree(post.directory.rename(runtime / "removed"))
        try:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(_exited(pidfd), 1)
            asker.kill()
            await asyncio.wait_for(_exited(pidfd), 60)
        finally:
            os.close(pidfd)


async def test_whoever_comes_while_it_leaves_is_served(runtime: Path) -> None:
    """Requests race with an idle time of almost nothing; none fails and nothing is left."""
    post = Post(runtime, orders=Orders(idle=0.05))
    client = post.client()
    pids = set()
    for number in range(12):
        lease = await client.acquire(LeaseRequest(kernel_id=f"k{number}", size="1g.5gb"))
        pids.add(post.pid)
        await client.release(lease.lease_id)
        await asyncio.sleep(0.01 * number)
    assert len(pids) > 1, "it never left"

    async def nothing_left() -> bool:
        return not post.instances()

    await until(nothing_left)


async def test_a_corrupt_log_does_not_keep_it_from_starting(post: Post) -> None:
    """It starts with an empty log, keeps the old one, and touches no slice it does not know."""
    client = post.client()
    lease = await client.acquire(LeaseRequest(kernel_id="k", size="1g.5gb"))
    post.end(signal.SIGKILL)
    for path in post.directory.glob("log.sqlite*"):
        path.write_bytes(b"scrambled" * 1000)
    assert await client.leases() == []
    node = await client.node()
    assert [instance.state for instance in node.gpus[0].instances] == ["outside"]
    assert lease.slice is not None
    assert post.instances() == [lease.slice.mig_uuid]
    (kept,) = post.directory.glob("log.sqlite.corrupt-*[0-9]")
    assert kept.read_bytes() == b"scrambled" * 1000
    assert "log.sqlite.corrupt-" in (post.directory / meeting.DIARY).read_text()


async def test_a_static_inventory_lends_and_keeps(runtime: Path) -> None:
    """What an admin made is handed out, stays when given back, and is known after a kill."""
    post = Post(runtime, inventory="static")
    client = post.client()
    await client.broker()
    post.end()
    with post.silicon() as node:
        uuid = node.create(0, "2g.10gb")
    lease = await client.acquire(LeaseRequest(kernel_id="k", size="2g.10gb"))
    assert lease.slice is not None
    assert lease.slice.mig_uuid == uuid
    post.end(signal.SIGKILL)
    assert (await client.lease(lease.lease_id)).slice == lease.slice
    await client.release(lease.lease_id)

    async def idle() -> bool:
        states = [instance.state for instance in (await client.node()).gpus[0].instances]
        return states == ["idle"]

    await until(idle)
    assert post.instances() == [uuid]


async def test_a_kernel_that_dies_gives_its_slice_back(post: Post) -> None:
    """Orphaned while its server lives, for the grace of a restart; then the slice is free."""
    client = post.client()
    lease = await client.acquire(LeaseRequest(kernel_id="k", size="1g.5gb"))
    with subprocess.Popen(["sleep", "60"]) as kernel:  # noqa: ASYNC220 - it is quick
        bound = await client.bind(lease.lease_id, kernel.pid)
        kernel.kill()
    orphaned = await client.lease(lease.lease_id, bound.version, 10)
    assert (orphaned.state, orphaned.slice) == ("orphaned", lease.slice)

    async def over() -> bool:
        return not await client.leases() and not post.instances()

    await until(over)
    ended = await client.lease(lease.lease_id)
    assert ended.refusal is not None
    assert ended.refusal.kind == "lease-ended"


async def test_a_hundred_leases_survive_a_kill(runtime: Path) -> None:
    """SIGKILL with a hundred leases held: the next broker has them all, on the same slices."""
    post = Post(runtime, "15xA100-SXM4-40GB?time_scale=0")
    client = post.client()
    asked = [LeaseRequest(kernel_id=f"k{n}", size="1g.5gb") for n in range(100)]
    leases = await asyncio.gather(*(client.acquire(request) for request in asked))
    before = {lease.lease_id: lease.slice for lease in leases}
    post.end(signal.SIGKILL)
    after = {lease.lease_id: lease.slice for lease in await client.leases()}
    assert after == before
    assert sorted(post.instances()) == sorted(one.mig_uuid for one in before.values() if one)


def test_it_lives_on_when_its_starter_is_killed(runtime: Path) -> None:
    """The first client's death, by whatever signal to its whole group, is not the broker's."""
    settings = Settings(driver="simulated:1xA30?time_scale=0", runtime_directory=runtime)
    script = f"""
import asyncio, os, signal
from pathlib import Path
from jupyter_mig.client import Client, Settings
settings = Settings(driver={settings.driver!r}, runtime_directory=Path({str(runtime)!r}))
asyncio.run(Client(settings).broker())
os.killpg(0, signal.SIGKILL)
"""
    with subprocess.Popen([sys.executable, "-c", script], start_new_session=True) as starter:
        assert starter.wait(30) == -signal.SIGKILL
    path = Client(settings).socket
    pid = say(path, "GET", "/v1")[1]["pid"]
    files = [link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()]
    assert not [name for name in files if name.startswith("pipe:")], files
    gone(pid, signal.SIGTERM)
