from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.claims import Claims

HOLD = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def nodes(tmp_path: Path) -> tuple[Path, Path]:
    """The device nodes of an instance."""
    paths = (tmp_path / "nvidia-cap30", tmp_path / "nvidia-cap31")
    for path in paths:
        path.touch()
    return paths


def test_what_another_broker_holds_is_refused(nodes: tuple[Path, Path]) -> None:
    """One locked node is enough, nothing stays locked by the attempt, and it works afterwards."""
    claims = Claims()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(nodes[1])], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(errors.InUse, match="locked"):
            claims.take("i1", nodes)
        claims.take("i2", nodes[:1])
        claims.drop("i2")
        other.kill()
    claims.take("i1", nodes)
    claims.close()


def test_two_brokers_take_turns(nodes: tuple[Path, Path]) -> None:
    """A claim lasts until it is dropped; claiming and dropping twice are harmless."""
    one, other = Claims(), Claims()
    one.take("i1", nodes)
    one.take("i1", nodes)
    with pytest.raises(errors.InUse):
        other.take("i1", nodes)
    one.drop("i1")
    one.drop("i1")
    other.take("i1", nodes)
    other.close()
    one.take("i1", nodes)
    one.close()


def test_a_node_that_is_not_there_cannot_be_claimed(tmp_path: Path) -> None:
    """The error says which and why."""
    with pytest.raises(errors.InUse, match="cap99: No such file"):
        Claims().take("i1", (tmp_path / "nvidia-cap99",))


def test_without_nodes_there_is_nothing_to_lock() -> None:
    """Simulated nodes have none."""
    Claims().take("i1", ())
