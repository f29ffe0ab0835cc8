"""Somebody who had a slice comes back to it when it is another's: real users and processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.broker.system.shared_node import (
    ALICE,
    BOB,
    CAROL,
    PATIENCE_SECONDS,
    SharedNode,
    interpreter,
    lacking,
    shared_node,
)
from tests.broker.system.test_system_broker import _ended, _held, _leases, _nodes

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking() or "-")

OPENS = os.makedev(1, 7)
"""A device that opens for real, and that nobody has open: /dev/full. Those of simulated slices have
no driver behind them."""

_STASH = """
import array, os, socket, sys
inside, outside = socket.socketpair()
node = os.open(sys.argv[1], os.O_RDONLY)
socket.send_fds(outside, [b"x"], [node])
os.close(node)
print("stashed", flush=True)
for line in sys.stdin:
    kept = socket.recv_fds(inside, 1, 1)[1] if line == "take it\\n" else kept
    print("here", flush=True)
"""


class Stash:
    """A process of Bob's that has a slice's open node in a socket of its own, unseen."""

    program = _STASH

    def __init__(self, node: Path) -> None:
        command = [str(interpreter()), "-c", self.program, str(node)]
        self.process = subprocess.Popen(
            command,
            user=BOB,
            group=BOB,
            extra_groups=[],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "stashed\n"

    def says(self, line: str) -> str:
        """Its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


_ELDER = """
import glob, os, sys
print("stashed", flush=True)
held = []
for line in sys.stdin:
    for path in glob.glob(sys.argv[1] + "/nvidia-cap*"):
        try:
            held.append(os.open(path, os.O_RDONLY))
        except OSError:
            pass
    print(len(held), flush=True)
"""


class Elder(Stash):
    """One that is older than the slices whose nodes it opens, when told to."""

    program = _ELDER


def _openable(node: SharedNode) -> Path:
    """Make a slice's nodes ones that open, the same for the same slice; the first of them."""
    for path in _nodes(node):
        before = path.stat()
        path.unlink()
        os.mknod(path, before.st_mode, OPENS)
        os.chown(path, before.st_uid, before.st_gid)
        path.chmod(before.st_mode & 0o777)
    return min(path for path in (node.tree / "dev" / "nvidia-caps").iterdir() if _opens(path))


def _opens(path: Path) -> bool:
    return path.stat().st_rdev == OPENS


@contextmanager
def _somebody_waits(node: SharedNode) -> Iterator[None]:
    """Then the broker looks every two seconds."""
    waits = node.spawn(CAROL, "run", "--size", "7g.40gb", "--", "true", stderr=subprocess.PIPE)
    try:
        yield
    finally:
        waits.send_signal(signal.SIGINT)
        waits.communicate(timeout=PATIENCE_SECONDS)


def _told(node: SharedNode) -> str:
    """What the log says of him, once it does."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not (found := re.search(r"(?:Intruder|Opener) (.*)\n", node.said())):
        assert time.monotonic() < give_up_at, node.said()
        time.sleep(0.02)
    return found[1]


def _met(node: SharedNode, what: str = "opener") -> list[dict[str, Any]]:
    done = node.asked(0, "admin", "audit", "--json")
    assert done.returncode == 0, done.stderr
    return [each for each in json.loads(done.stdout) if each["what"] == what]


@pytest.mark.parametrize("isolation", [True, False])
def test_who_comes_back_to_a_slice_is_told_of(isolation: bool) -> None:
    """He opened it while it was his, and hid it where nobody sees it; the next who has it keeps her
    slice, and root's log and audit name him. Where slices are closed his process may have been sent
    it: it is an intruder, and ended, only when it computes.
    """
    with shared_node(isolation=isolation) as node:
        node.start()
        bobs = _held(node, BOB)
        stash = Stash(_openable(node))
        _ended(bobs)
        alices = _held(node, ALICE)
        (lease,) = _leases(node, ALICE)
        _openable(node)
        assert stash.says("take it") == "here\n"
        with _somebody_waits(node):
            told = _told(node)
        pid = stash.process.pid
        whose = f"lease={lease['lease_id']} uid_of_lease={ALICE} mig_uuid="
        assert told.startswith(f"pid={pid} uid={BOB} {whose}"), told
        (entry,) = _met(node, "opener" if isolation else "intruder")
        assert (entry["uid"], entry["lease"]) == (ALICE, lease["lease_id"])
        assert entry["by_uid"] == (None if isolation else BOB)
        assert stash.says("well?") == "here\n"
        assert [each["state"] for each in _leases(node, ALICE)] == ["bound"]
        stash.process.communicate(timeout=PATIENCE_SECONDS)
        _ended(alices)


def test_an_older_process_of_its_users_does_not_keep_a_slice() -> None:
    """It is ended with the lease, as only he could open the slice, and the slice is free."""
    with shared_node() as node:
        node.start()
        elder = Elder(node.tree / "dev" / "nvidia-caps")
        bobs = _held(node, BOB)
        _openable(node)
        assert int(elder.says("open")) > 0
        _ended(bobs)
        assert elder.process.wait(PATIENCE_SECONDS) in (-signal.SIGTERM, -signal.SIGKILL)
        elder.process.communicate(timeout=PATIENCE_SECONDS)
        _ended(_held(node, ALICE, "7g.40gb"))


def test_who_hands_his_slices_on_pays_with_his_quota() -> None:
    """To a process of another user's, which lives. The slice is his until that has closed it, so
    there is no second one; others have what is left.
    """
    with shared_node(policy=[{"who": ["*"], "slices": 1}]) as node:
        node.start()
        alices = _held(node, ALICE)
        elder = _sent_on(node)
        _ended(alices)
        _until_told(node, "SignalOccupants|TERM to")
        refused = node.asked(ALICE, "run", "--size", "1g.5gb", "--patience", "0", "--", "true")
        assert refused.returncode != 0
        assert b"as much as you may have" in refused.stderr, refused.stderr
        _ended(_held(node, CAROL))
        assert elder.poll() is None
        elder.kill()
        elder.communicate(timeout=PATIENCE_SECONDS)
        _ended(_held(node, ALICE))


def _sent_on(node: SharedNode) -> subprocess.Popen[bytes]:
    """A process of Bob's that was given the slice's open node."""
    with _openable(node).open("rb") as opened:
        return subprocess.Popen(["sleep", "600"], stdin=opened, user=BOB, group=BOB)


def _until_told(node: SharedNode, pattern: str) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not re.search(pattern, node.said()):
        assert time.monotonic() < give_up_at, node.said()
        time.sleep(0.02)
