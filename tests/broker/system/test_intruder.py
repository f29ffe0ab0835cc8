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

    def __init__(self, node: Path) -> None:
        command = [str(interpreter()), "-c", _STASH, str(node)]
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
    while not (found := re.search(r"Intruder (.*)\n", node.said())):
        assert time.monotonic() < give_up_at, node.said()
        time.sleep(0.02)
    return found[1]


def _intruders(node: SharedNode) -> list[dict[str, Any]]:
    done = node.asked(0, "admin", "audit", "--json")
    assert done.returncode == 0, done.stderr
    return [each for each in json.loads(done.stdout) if each["what"] == "intruder"]


@pytest.mark.parametrize("isolation", [True, False])
def test_who_comes_back_to_a_slice_is_told_of_and_ended_where_slices_are_closed(
    isolation: bool,
) -> None:
    """He opened it while it was his, and hid it where nobody sees it; the next who has it keeps her
    slice, and root's log and audit name him.
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
        (entry,) = _intruders(node)
        assert (entry["uid"], entry["by_uid"], entry["lease"]) == (ALICE, BOB, lease["lease_id"])
        if isolation:
            assert stash.process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        else:
            assert stash.says("well?") == "here\n"
        assert [each["state"] for each in _leases(node, ALICE)] == ["bound"]
        stash.process.communicate(timeout=PATIENCE_SECONDS)
        _ended(alices)
