"""Processes on slices of other users, seen by a broker that looks at its node."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from jupyter_mig.broker import processes
from jupyter_mig.broker.holders.patrol import Patrol, Post, posts
from jupyter_mig.broker.memory.witness import Nobody
from jupyter_mig.broker.processes import Process
from jupyter_mig.broker.service import Service
from jupyter_mig.core import events
from jupyter_mig.core.geometry import Spec
from jupyter_mig.core.leases import Lease, LeaseState
from jupyter_mig.core.state import PlaceState
from jupyter_mig.nvml import simulated
from tests.broker.brokers import until
from tests.broker.helper.test_helper import NODE, ONE_G, Root, opener_of
from tests.broker.households import Household, ask, changed_to, holder_of_pid, household
from tests.core.nodes import A100
from tests.core.story import Story
from tests.core.world import UNKILLABLE, kernel

ALICE, BOB, CAROL = 64301, 64302, 64303

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can be several users")


class Caught(NamedTuple):
    """What a witness is told."""

    lease_id: str
    owner: int
    pid: int


class Watchman(Nobody):
    """Remembers who was caught."""

    def __init__(self) -> None:
        self.told: list[Caught] = []
        self.openers: list[Caught] = []

    def caught(self, lease_id: str, owner: int, intruder: Process) -> None:
        """Somebody."""
        self.told.append(Caught(lease_id, owner, intruder.pid))

    def met(self, lease_id: str, owner: int, opener: Process) -> None:
        """Somebody else."""
        self.openers.append(Caught(lease_id, owner, opener.pid))


@pytest.fixture
def watchman() -> Watchman:
    """Has seen nobody."""
    return Watchman()


@pytest.fixture
def home(tmp_path: Path, watchman: Watchman) -> Iterator[Household]:
    """One simulated A100, looked at again and again."""
    with household(tmp_path) as found:
        found.settings = msgspec.structs.replace(found.settings, observe=0.05)
        found.witness = watchman
        yield found


@contextmanager
def process_of(uid: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that user's that does nothing."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=uid) as process:
        try:
            yield process
        finally:
            process.kill()


async def _bound(service: Service, owner: int, kernel: int) -> Lease:
    """A lease of that user's, with a kernel."""
    request = msgspec.structs.replace(ask("k", "1g.5gb"), owner=owner)
    await service.post(events.SlicesRequested((request,)))
    lease = service.find(request.lease_id)
    assert lease is not None
    await changed_to(service, lease, LeaseState.GRANTED)
    await service.post(events.LeaseBound(lease.lease_id, holder_of_pid(kernel), kernel))
    return lease


def _uuid(service: Service, lease: Lease) -> str:
    place = service.state.place_of(lease)
    assert place is not None
    assert place.identity is not None
    return place.identity.mig_uuid or ""


async def test_a_stranger_on_a_slice_is_told_of_once(home: Household, watchman: Watchman) -> None:
    """However often he is seen. Those of its user and of root are no strangers."""
    async with home.started() as service:
        with ExitStack() as present:
            kernel, roots, bobs, carols = (
                present.enter_context(process_of(uid)) for uid in (ALICE, 0, BOB, CAROL)
            )
            lease = await _bound(service, ALICE, kernel.pid)
            uuid = _uuid(service, lease)
            for one in (kernel, roots, bobs):
                present.enter_context(home.node.cuda_client(uuid, one.pid))
            await _told(watchman, bobs.pid)
            present.enter_context(home.node.cuda_client(uuid, carols.pid))
            await _told(watchman, bobs.pid, carols.pid)
            assert bobs.poll() is None, "here nothing is closed, so nobody is ended"
    assert {(each.lease_id, each.owner) for each in watchman.told} == {(lease.lease_id, ALICE)}


async def _told(watchman: Watchman, *pids: int) -> None:
    async def exactly() -> bool:
        return [each.pid for each in watchman.told] == list(pids)

    await until(exactly)


def test_where_slices_are_closed_he_is_ended(tmp_path: Path, watchman: Watchman) -> None:
    """By root's process, which looks for itself whether he is there. The slice's user stays, as
    does whatever its kernel runs as somebody else.
    """
    with simulated.installed(f"{NODE}&root={tmp_path / 'tree'}") as silicon:
        root = Root(tmp_path)
        with closing(root.driver), root.helped() as driver, ExitStack() as clients:
            uuid = root.uuids[0]
            made = driver.create(Spec(uuid, ONE_G, 0))
            with _kernel_with_a_child() as (kernel, child), process_of(BOB) as bobs:
                pids = (kernel, child, bobs.pid)
                for pid in pids:
                    clients.enter_context(silicon.cuda_client(made.mig_uuid or "", pid))
                post = Post("lease", ALICE, kernel, uuid, made, pids)
                Patrol(driver, watchman).go(uuid, (post,))
                assert bobs.wait(20) == -signal.SIGKILL
                assert [each.pid for each in watchman.told] == [bobs.pid]
                assert processes.find(child) is not None


def test_who_was_sent_an_open_node_is_told_of_and_lives(tmp_path: Path, watchman: Watchman) -> None:
    """Whoever has a slice can send it to another user's daemon. Once that computes it is ended."""
    with simulated.installed(f"{NODE}&root={tmp_path / 'tree'}") as silicon:
        root = Root(tmp_path)
        with closing(root.driver), root.helped() as driver:
            uuid = root.uuids[0]
            made = driver.create(Spec(uuid, ONE_G, 0))
            node = driver.described_nodes(uuid, made)[0][0]
            with opener_of(root, node, BOB) as bobs:
                post = Post("lease", ALICE, 0, uuid, made, (bobs.pid,))
                patrol = Patrol(driver, watchman)
                patrol.go(uuid, (post,))
                patrol.go(uuid, (post,))
                assert bobs.poll() is None
                assert watchman.told == []
                assert watchman.openers == [Caught("lease", ALICE, bobs.pid)]
                with silicon.cuda_client(made.mig_uuid or "", bobs.pid):
                    patrol.go(uuid, (post,))
                    assert bobs.wait(20) == -signal.SIGKILL
                assert watchman.told == [Caught("lease", ALICE, bobs.pid)]


def test_whose_lease_is_over_is_ended_on_a_slice_that_does_not_empty(
    tmp_path: Path, watchman: Watchman
) -> None:
    """Its nodes open for nobody else, whoever came first."""
    with simulated.installed(f"{NODE}&root={tmp_path / 'tree'}") as silicon:
        root = Root(tmp_path)
        with closing(root.driver), root.helped() as driver, process_of(ALICE) as alices:
            uuid = root.uuids[0]
            made = driver.create(Spec(uuid, ONE_G, 0))
            post = Post("lease", ALICE, 0, uuid, made, (alices.pid,))
            with silicon.cuda_client(made.mig_uuid or "", alices.pid):
                Patrol(driver, watchman).go(uuid, (post,))
                assert alices.poll() is None, "it is hers still"
                Patrol(driver, watchman).go(uuid, (post._replace(over=True),))
                assert alices.wait(20) == -signal.SIGKILL


def test_slices_that_do_not_empty_are_looked_at() -> None:
    """While they are emptied, and when that was given up."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    place = story.place("a")
    story.occupy("a", UNKILLABLE)
    story.dies(kernel(500))
    story.release("a")
    story.answer()
    (post,) = posts(story.ledger.state, story.world.observed("GPU-0"))
    assert (post.lease_id, post.owner, post.pids, post.over) == ("a", 1000, (UNKILLABLE,), False)
    for _ in range(12):
        story.settle()
        story.wait(3)
    assert place.state is PlaceState.CONDEMNED
    (post,) = posts(story.ledger.state, story.world.observed("GPU-0"))
    assert (post.lease_id, post.owner, post.pids, post.over) == ("a", 1000, (UNKILLABLE,), True)


def test_nobody_is_ended_on_old_news(tmp_path: Path, watchman: Watchman) -> None:
    """Who has left the slice since he was seen there is neither told of nor ended."""
    with simulated.installed(f"{NODE}&root={tmp_path / 'tree'}"):
        root = Root(tmp_path)
        with closing(root.driver), root.helped() as driver, process_of(BOB) as bobs:
            uuid = root.uuids[0]
            made = driver.create(Spec(uuid, ONE_G, 0))
            post = Post("lease", ALICE, 0, uuid, made, (bobs.pid,))
            Patrol(driver, watchman).go(uuid, (post,))
            assert watchman.told == []
            assert bobs.poll() is None


@contextmanager
def _kernel_with_a_child() -> Iterator[tuple[int, int]]:
    """A kernel that runs something as another user, as sudo would: the pids of both."""
    script = f"setpriv --reuid={BOB} --clear-groups sh -c 'echo $$; exec cat' <&3 & cat"
    script = f"exec 3<&0; {script}"
    with subprocess.Popen(["sh", "-c", script], stdin=-1, stdout=-1) as kernel:
        assert kernel.stdout is not None
        assert kernel.stdin is not None
        try:
            yield kernel.pid, int(kernel.stdout.readline())
        finally:
            kernel.stdin.close()
            kernel.wait(20)
