"""Brokers that know nothing of each other, on one node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mig.broker import processes

SCRIPT = Path(__file__).with_name("two_brokers.py")
SLICES = 7


def seen(directory: Path, rounds: int, uids: tuple[int, int], *how: str) -> dict[str, int]:
    """What a run of the script saw from outside."""
    directory.chmod(0o755)
    command = [sys.executable, str(SCRIPT), str(directory), str(rounds), *map(str, uids), *how]
    done = subprocess.run(command, check=True, capture_output=True, timeout=110)
    result: dict[str, int] = json.loads(done.stdout)
    assert result.pop("failed") == 0, done.stderr.decode()
    return result


def nothing_is_left(directory: Path) -> bool:
    """No lock on any node of the tree, no socket in any place."""
    nodes = tuple((directory / "tree" / "dev").rglob("nvidia*"))
    sockets = list(directory.glob("place-*/broker.sock"))
    return len(nodes) > 2 * SLICES and not processes.lockers(nodes) and not sockets


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be two other users")
def test_two_users_never_hold_the_same_slice(runtime: Path) -> None:
    """A thousand random rounds of two Unix users: no double grant, all slices in use at times."""
    record = seen(runtime, 1000, (64101, 64102))
    assert (record["+"], record["-"], record["double"], record["held"]) == (1000, 1000, 0, 0)
    assert record["most"] >= SLICES - 1
    assert nothing_is_left(runtime)


def test_two_brokers_of_one_user_never_hand_out_the_same_slice(runtime: Path) -> None:
    """Two places (jobs with other visible devices, a shell without runtime directory): as well."""
    record = seen(runtime, 200, (os.getuid(), os.getuid()))
    assert (record["+"], record["double"], record["held"]) == (200, 0, 0)
    assert nothing_is_left(runtime)


def test_without_locks_the_record_shows_it(runtime: Path) -> None:
    """The same rounds by brokers that take no locks have double grants: the record can tell."""
    assert seen(runtime, 100, (os.getuid(), os.getuid()), "unlocked")["double"] > 0
