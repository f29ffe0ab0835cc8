"""A node whose slices are open to single cgroups: servers that share a user are kept apart."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jupyter_mig.broker.helper.filter.device_filter import take_away
from jupyter_mig.client import Client, Settings
from jupyter_mig.client.remote import Remote
from jupyter_mig.errors import NotAllowed
from jupyter_mig.wire.messages import LeaseRequest
from tests.broker.helper import cgroups
from tests.broker.helper.cgroups import below, opening, tree, within
from tests.broker.opening import NOTHING_BEHIND
from tests.broker.remote.hubs import small_hub, user
from tests.broker.system.shared_node import ALICE, SharedNode, lacking, shared_node

LACKING = lacking() or cgroups.lacking()
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING or "all is here")

FILTERED = os.strerror(errno.EPERM)


@pytest.fixture
def top() -> Iterator[Path]:
    """A tree of cgroups."""
    with tree() as made:
        yield made


@pytest.fixture
def node(top: Path) -> Iterator[SharedNode]:
    """A node whose broker filters below that tree."""
    with shared_node(cgroup_filter=str(top)) as one:
        one.start()
        yield one


def started(node: SharedNode, cgroup: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    """A command of Alice's in that cgroup, which holds a slice until the stack unwinds."""
    command = ("run", "--size", "1g.5gb", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES; cat")
    process = subprocess.Popen(
        within(cgroup, ALICE, *node._cli(*command)),
        env=node.environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    stack.callback(process.communicate)
    return process


def slices(node: SharedNode) -> list[Path]:
    """The nodes of slices that Alice has."""
    found = (node.tree / "dev" / "nvidia-caps").iterdir()
    return sorted(each for each in found if each.stat().st_uid == ALICE)


def said(process: subprocess.Popen[bytes]) -> bytes:
    """The first line."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_two_servers_of_one_user_are_kept_apart(node: SharedNode, top: Path) -> None:
    """Each opens its own slice; neither the other's, nor does root from elsewhere."""
    one, other = below(top, "one"), below(top, "other")
    with ExitStack() as stack:
        assert said(started(node, one, stack)).startswith(b"MIG-"), node.said()
        first = slices(node)
        assert said(started(node, other, stack)).startswith(b"MIG-"), node.said()
        second = [path for path in slices(node) if path not in first]
        assert len(first) == len(second) == 2
        for mine, yours, theirs in ((one, first, second), (other, second, first)):
            assert {opening(path, mine, ALICE) for path in yours} == {NOTHING_BEHIND}
            assert {opening(path, mine, ALICE) for path in theirs} == {FILTERED}
            assert {opening(path, mine) for path in theirs} == {FILTERED}


_OPENS_AT_ONCE = """
import asyncio, errno, os, pathlib, sys
from jupyter_mig.client.client import Client
from jupyter_mig.client.settings import Settings
from jupyter_mig.wire.messages import LeaseRequest

def opening(node):
    try:
        os.close(os.open(node, os.O_RDONLY))
    except OSError as error:
        return errno.errorcode[error.errno]

async def main():
    client = Client(Settings.from_environment(os.environ))
    lease = await client.acquire(LeaseRequest("k", "1g.5gb", patience_seconds=None))
    nodes = pathlib.Path(sys.argv[1]).iterdir()
    mine = [each for each in nodes if each.stat().st_uid == os.getuid()]
    print(lease.state, *map(opening, mine), lease.lease_id, flush=True)
    sys.stdin.read()

asyncio.run(main())
"""
_LOOKS_AT = """
import asyncio, os, sys
from jupyter_mig.client.client import Client
from jupyter_mig.client.settings import Settings
print(asyncio.run(Client(Settings.from_environment(os.environ)).lease(sys.argv[1])).state)
"""


def test_a_slice_opens_before_its_kernel_is_known(node: SharedNode, top: Path) -> None:
    """A kernel may be quicker than whoever starts it says which process it is. Another server of
    the user's is not let in by looking at the lease.
    """
    one, other = below(top, "one"), below(top, "other")
    python = node._cli()[0]
    command = (python, "-c", _OPENS_AT_ONCE, node.tree / "dev" / "nvidia-caps")
    with subprocess.Popen(
        within(one, ALICE, *command),
        env=node.environ(),
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        granted, *opened, name = said(server).decode().split()
        assert (granted, opened) == ("granted", ["ENXIO", "ENXIO"]), node.said()
        looked = subprocess.run(
            within(other, ALICE, python, "-c", _LOOKS_AT, name),
            check=True,
            capture_output=True,
            env=node.environ(),
            cwd="/",
        )
        assert looked.stdout == b"granted\n"
        assert {opening(path, other, ALICE) for path in slices(node)} == {FILTERED}
        server.communicate()


async def test_who_comes_by_tcp_is_told_that_no_slice_opens_for_him(top: Path) -> None:
    """If the filter is for all there are; he may look. Where it is for some he may be elsewhere."""
    tokens = {"alices": user("alice")}
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "127.0.0.1:{1}".format(*free.getsockname())
    wanted = LeaseRequest("k", "1g.5gb")
    async with small_hub() as hub:
        hub.tokens.update(tokens)
        for tree, refused in ((top.parent, True), (top, False)):
            given = {"listen": address, "hub_api_url": hub.url, "hub_users_are_unix_users": False}
            with shared_node(cgroup_filter=str(tree), **given) as node:
                await asyncio.to_thread(node.start)
                remote = Remote(f"http://{address}", token="alices")
                client = Client(Settings(driver=node.driver, remote=remote))
                assert (await client.node()).gpus
                if refused:
                    with pytest.raises(NotAllowed, match="who comes by TCP"):
                        await client.acquire(wanted)
                else:
                    assert (await client.acquire(wanted)).state == "granted"
                client.close()
                await asyncio.to_thread(node.stop)
            take_away(tree)


def test_the_helper_may_be_in_the_tree_itself(node: SharedNode, top: Path) -> None:
    """As a service of systemd is: it makes the nodes of one slice after the other."""
    own, server = below(top, "broker"), below(top, "server")
    for pid in node.processes():
        (own / "cgroup.procs").write_text(str(pid))
    for _ in range(2):
        with ExitStack() as stack:
            assert said(started(node, server, stack)).startswith(b"MIG-"), node.said()


def test_the_next_tenant_finds_it_closed_to_the_last(node: SharedNode, top: Path) -> None:
    """The same slice, the same user, another server."""
    one, other = below(top, "one"), below(top, "other")
    with ExitStack() as stack:
        assert said(started(node, one, stack)).startswith(b"MIG-"), node.said()
        before = slices(node)
    with ExitStack() as stack:
        assert said(started(node, other, stack)).startswith(b"MIG-"), node.said()
        assert slices(node) == before
        assert {opening(path, one, ALICE) for path in before} == {FILTERED}
        assert {opening(path, other, ALICE) for path in before} == {NOTHING_BEHIND}


def test_it_stays_as_it_is_while_the_broker_is_away(node: SharedNode, top: Path) -> None:
    """Killed and back; only without the setting it is gone."""
    one, other = below(top, "one"), below(top, "other")
    with ExitStack() as stack:
        assert said(started(node, one, stack)).startswith(b"MIG-"), node.said()
        (path, _) = slices(node)
        node.stop(signal.SIGKILL)
        assert (opening(path, one, ALICE), opening(path, other, ALICE)) == (
            NOTHING_BEHIND,
            FILTERED,
        )
        node.start()
        assert (opening(path, one, ALICE), opening(path, other, ALICE)) == (
            NOTHING_BEHIND,
            FILTERED,
        )
        node.stop()
        own = json.loads(node.configuration.read_text())
        del own["MIGBroker"]["cgroup_filter"]
        node.configuration.write_text(json.dumps(own))
        node.start()
        assert opening(path, other, ALICE) == NOTHING_BEHIND


def test_a_container_with_the_socket_is_told_apart_too(node: SharedNode, top: Path) -> None:
    """The pids that it names mean nothing, but the asker's own is known, and so is its cgroup."""
    one = below(top, "one")
    nodes = node.tree / "dev" / "nvidia-caps"
    job = f"1g.5gb sh -c 'for each in {nodes}/*; do head -c0 $each; done 2>&1; true'"
    contained = (*node._cli("batch", "-"),)
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*command, *within(one, ALICE, *contained)],
        input=job,
        check=False,
        capture_output=True,
        text=True,
        env=node.environ(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Its own two, and that for monitoring, which everybody may open.
    assert done.stdout.count(NOTHING_BEHIND) == 3, done.stdout
    assert FILTERED not in done.stdout


def test_who_has_no_cgroup_of_his_own_is_told(node: SharedNode) -> None:
    """And holds nothing."""
    done = node.asked(ALICE, "run", "--size", "1g.5gb", "--", "true")
    assert done.returncode != 0
    assert b"without a cgroup of its own" in done.stderr, done.stderr
    assert node.asked(ALICE, "leases", "--json").stdout.strip() == b"[]"


def test_a_tree_that_is_none_keeps_the_broker_from_starting() -> None:
    """It says so."""
    with shared_node(cgroup_filter="/tmp") as one:
        done = one.asked(0, "broker", "--config", str(one.configuration))
    assert done.returncode != 0
    assert b"The filter for cgroups cannot be set up." in done.stderr
    assert b"Traceback" not in done.stderr
