"""A node's broker under a service manager: nobody is refused while it is restarted, and no process
is taken for another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyter_mig.broker.callers.peer import peer_of
from jupyter_mig.broker.system.service_manager import Descriptor, ServiceManager
from jupyter_mig.client import Client, Settings
from jupyter_mig.client.remote import Remote
from jupyter_mig.errors import BadPlace
from jupyter_mig.wire.messages import LeaseRequest
from tests.broker.remote.hubs import small_hub, user
from tests.broker.system.managed_node import ManagedNode, managed_node
from tests.broker.system.shared_node import ALICE, BOB, PATIENCE_SECONDS, lacking, shared_node
from tests.broker.system.test_system_broker import _ended, _held, _leases

ACTIVATE = "systemd-socket-activate"

_CUSTOMERS = """
import asyncio, json, os, subprocess, sys, threading
from jupyter_mig.client.client import Client
from jupyter_mig.client.settings import Settings
from jupyter_mig.wire.messages import LeaseRequest

settings = Settings.from_environment(os.environ)
told_to_end = threading.Event()
counts = {"leases": 0, "looks": 0}

async def have_leases(name):
    while not told_to_end.is_set():
        client = Client(settings)
        wanted = LeaseRequest(f"{name}-{counts['leases']}", "1g.5gb", patience_seconds=None)
        lease = await client.acquire(wanted)
        kernel = subprocess.Popen(["sleep", "600"])
        await client.bind(lease.lease_id, kernel.pid)
        now = await Client(settings).lease(lease.lease_id)
        assert now.state == "bound", now
        kernel.kill()
        kernel.wait()
        await client.release(lease.lease_id)
        counts["leases"] += 1
        client.close()

async def look():
    while not told_to_end.is_set():
        await Client(settings).node()
        counts["looks"] += 1

async def main():
    await asyncio.gather(have_leases("a"), have_leases("b"), look(), look())

def listen():
    sys.stdin.read()
    told_to_end.set()

threading.Thread(target=listen, daemon=True).start()
print("there", flush=True)
asyncio.run(main())
print(json.dumps(counts))
"""


@pytest.fixture
def node() -> Iterator[ManagedNode]:
    """One whose broker runs."""
    if lacking():
        pytest.skip(lacking())
    with managed_node() as one:
        one.start()
        yield one


def _customers(node: ManagedNode, uid: int) -> subprocess.Popen[bytes]:
    """Who comes all the time, each time as if for the first time."""
    python = node._cli()[0]
    who: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []}
    process = subprocess.Popen(
        [python, "-c", _CUSTOMERS],
        env=node.environ(),
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **who,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"
    return process


def test_nobody_is_refused_and_nothing_lost_while_it_is_restarted(node: ManagedNode) -> None:
    """Three times, among users who come all the time; one keeps a slice throughout."""
    bobs = _held(node, BOB)
    (before,) = _leases(node, BOB)
    customers = _customers(node, ALICE)
    for _ in range(3):
        node.asked(BOB, "leases")  # they are at it meanwhile
        assert node.stop() == 0, node.said()
        node.start()
    (after,) = _leases(node, BOB)
    said, complained = customers.communicate(timeout=PATIENCE_SECONDS)
    assert customers.returncode == 0, (complained.decode(), node.said())
    counts = json.loads(said)
    assert min(counts.values()) > 0, counts
    assert (after["lease_id"], after["state"]) == (before["lease_id"], "bound")
    _ended(bobs)


def test_who_comes_in_between_waits_and_is_served(node: ManagedNode) -> None:
    """No process of a broker's is there when he knocks."""
    assert node.stop() == 0
    comer = node.spawn(ALICE, "leases", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(str(node.socket))
        node.start()
        other.sendall(b"GET /v1 HTTP/1.1\r\nHost: broker\r\n\r\n")
        assert other.recv(4096).startswith(b"HTTP/1.1 200 ")
    said, complained = comer.communicate(timeout=PATIENCE_SECONDS)
    assert (comer.returncode, said) == (0, b"[]\n"), complained


async def test_who_comes_by_tcp_is_not_refused_either() -> None:
    """Three restarts, among users of a Hub who come all the time, each time as if for the first."""
    async with far_node() as (node, settings):
        over = asyncio.Event()
        customers = [asyncio.ensure_future(_come(settings, each, over)) for each in "ab"]
        try:
            for _ in range(3):
                await _looked(settings)  # they are at it meanwhile
                assert await asyncio.to_thread(node.stop) == 0, node.said()
                await asyncio.to_thread(node.start)
        finally:
            over.set()
        counts = await asyncio.gather(*customers)
        assert min(counts) > 0, (counts, node.said())


async def test_who_comes_by_tcp_in_between_waits_and_is_served() -> None:
    """No process of a broker's is there when he knocks; nor was one killed for him."""
    async with far_node() as (node, settings):
        await asyncio.to_thread(node.kill)
        looking = asyncio.ensure_future(_looked(settings))
        await asyncio.sleep(0)
        await asyncio.to_thread(node.start)
        await looking


@asynccontextmanager
async def far_node() -> AsyncIterator[tuple[ManagedNode, Settings]]:
    """One whose manager keeps the TCP door, too, and what a user of its Hub knows."""
    if lacking():
        pytest.skip(lacking())
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        address = "127.0.0.1:{1}".format(*listening.getsockname())
        async with small_hub() as hub:
            hub.tokens["alices"] = user("alice")
            given = {"listen": address, "hub_api_url": hub.url, "hub_users_are_unix_users": False}
            with managed_node(**given) as node:
                node.doors["far"] = listening.dup()
                await asyncio.to_thread(node.start)
                remote = Remote(f"http://{address}", token="alices")
                yield node, Settings(driver=node.driver, remote=remote)
                await asyncio.to_thread(node.stop)


async def _come(settings: Settings, name: str, over: asyncio.Event) -> int:
    """Have slices until it is over; how many."""
    count = 0
    while not over.is_set():
        client = Client(settings)
        wanted = LeaseRequest(f"{name}-{count}", "1g.5gb", patience_seconds=None)
        lease = await client.acquire(wanted)
        assert (await Client(settings).lease(lease.lease_id)).state == "granted"
        await client.release(lease.lease_id)
        client.close()
        count += 1
    return count


async def _looked(settings: Settings) -> None:
    """Somebody who is new here."""
    await Client(settings).node()


def test_where_the_manager_listens_the_directory_stays_the_managers(node: ManagedNode) -> None:
    """A manager would give it back to root at each start, and what is in it, too. What the broker
    cannot write nobody who takes it over can, either.
    """
    found = node.socket.parent.stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o755)


def test_the_kernel_names_the_broker_not_the_manager(node: ManagedNode) -> None:
    """Clients trust the user that the broker runs as; root made the socket."""
    with socket.socket(socket.AF_UNIX) as knock:
        knock.connect(str(node.socket))
        assert node.processes()[peer_of(knock).pid] != 0


def test_the_manager_keeps_a_pidfd_as_long_as_a_lease_hangs_on_it(node: ManagedNode) -> None:
    """It is that of the process, and it stays when the broker is killed."""
    alices = _held(node, ALICE)
    node.wait_until(lambda: bool(node.kept))
    ((name, pidfd),) = node.kept.items()
    pid = int(re.fullmatch(r"p(\d+)-\d+", name).group(1))  # type: ignore[union-attr]
    assert f"Pid:\t{pid}\n" in Path(f"/proc/self/fdinfo/{pidfd}").read_text()
    node.kill()
    assert list(node.kept) == [name]
    node.start()
    assert list(node.kept) == [name]
    _ended(alices)
    node.wait_until(lambda: not node.kept)


def test_a_pidfd_is_believed_rather_than_a_pid(node: ManagedNode) -> None:
    """The process is gone, though one of that pid and start time seems to be there."""
    alices = _held(node, ALICE)
    node.wait_until(lambda: bool(node.kept))
    node.kill()
    with subprocess.Popen(["true"]) as another:
        gone = os.pidfd_open(another.pid)
    ((name, pidfd),) = node.kept.items()
    os.close(pidfd)
    node.kept[name] = gone
    node.start()
    node.wait_until(lambda: not node.kept)
    assert _leases(node, ALICE) == []
    alices.communicate(timeout=PATIENCE_SECONDS)


def test_what_is_kept_for_no_lease_is_kept_no_longer(node: ManagedNode) -> None:
    """It had ended when the broker before was killed."""
    assert node.stop() == 0
    node.kept["p1-1"] = os.pidfd_open(os.getpid())
    node.start()
    node.wait_until(lambda: not node.kept)


def test_it_says_when_it_is_ready_and_when_it_stops(node: ManagedNode) -> None:
    """So that systemd waits for the door, and knows that the end is meant."""
    assert node.stop() == 0
    assert node.said_to_manager == ["READY=1", "STOPPING=1"]
    assert node.socket.exists()


def test_it_has_no_other_door_than_its_own(tmp_path: Path) -> None:
    """Users would knock at MIGBroker.socket in vain."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "s"))
        other.listen()
        with pytest.raises(BadPlace, match="not its door"):
            manager_of(other).doors(tmp_path / "t")


@pytest.mark.parametrize("configured", ["", "127.0.0.1:1", "[::1]:{}", "0.0.0.0:{}"])
def test_it_has_no_other_tcp_door_than_its_own(tmp_path: Path, configured: str) -> None:
    """Nor would anybody listen at MIGBroker.listen; both addresses are told."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BadPlace, match="not its door") as raised:
            manager_of(other).doors(tmp_path / "s", configured.format(port))
    assert f"It is 127.0.0.1:{port};" in raised.value.situation
    assert (configured.format(port) or "empty") in raised.value.situation


def test_what_does_not_listen_is_no_door(tmp_path: Path) -> None:
    """Though it has the address."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        address = "127.0.0.1:{1}".format(*other.getsockname())
        with pytest.raises(BadPlace, match="not its door"):
            manager_of(other).doors(tmp_path / "s", address)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_doors_are_known_by_where_they_listen(tmp_path: Path, host: str) -> None:
    """In whatever order they come, and whatever they are called; as addresses may be written."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(socket.AF_UNIX) as near, socket.create_server((host, 0), family=family) as f:
        near.bind(str(tmp_path / "s"))
        near.listen()
        written = host.replace("::", "0:0:0:0:0:0:0:")
        address = (
            f"[{written}]:{f.getsockname()[1]}" if ":" in host else f"{host}:{f.getsockname()[1]}"
        )
        for given in ((near, f), (f, near)):
            found = manager_of(*given).doors(tmp_path / "s", address)
            with contextlib.ExitStack() as stack:
                names = [stack.enter_context(each).getsockname() for each in found if each]
            assert names == [near.getsockname(), f.getsockname()]


def manager_of(*given: socket.socket) -> ServiceManager:
    """A manager that listens with copies of these."""
    return ServiceManager("", [Descriptor("door", os.dup(each.fileno())) for each in given])


async def test_a_broker_says_that_its_tcp_door_is_not_kept() -> None:
    """And what would keep it."""
    if lacking():
        pytest.skip(lacking())
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "127.0.0.1:{1}".format(*free.getsockname())
    given = {"listen": address, "hub_api_url": "http://127.0.0.1:1/hub/api"}
    with managed_node(**given) as node:
        node.start()
        assert f"during restarts: ListenStream={address}\n" in node.said()


def test_what_was_meant_for_another_process_is_left_alone() -> None:
    """Variables are inherited by whatever a service starts; descriptors with them are not."""
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "door", "NOTIFY_SOCKET": ""}
    assert ServiceManager.of(environ, os.getpid()).doors(Path("/s")) == (None, None)
    assert environ == {}


@pytest.mark.skipif(shutil.which(ACTIVATE) is None, reason=f"there is no {ACTIVATE}")
def test_systemd_passes_the_socket() -> None:
    """The real thing starts the broker when the first user comes, who is served."""
    if lacking():
        pytest.skip(lacking())
    with shared_node() as node, tempfile.TemporaryFile() as said:
        node.socket.parent.mkdir(mode=0o755)
        environ = {f"--setenv={name}={value}" for name, value in node.environ().items()}
        command = node._cli("broker", "--config", str(node.configuration))
        systemd = subprocess.Popen(
            [ACTIVATE, "--listen", node.socket, *environ, *command],
            stdout=said,
            stderr=said,
        )
        while not node.socket.exists():
            assert systemd.poll() is None
        node.socket.chmod(0o666)
        done = node.asked(ALICE, "leases", "--json")
        systemd.terminate()
        status = systemd.wait(PATIENCE_SECONDS)
        said.seek(0)
        assert (done.returncode, done.stdout) == (0, b"[]\n"), (done.stderr, said.read())
        assert status == 0
        assert node.socket.exists()
