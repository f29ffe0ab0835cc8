"""The disk with the state of a node's broker is full: nobody loses anything, nothing is granted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.broker.system.shared_node import ALICE, BOB, SharedNode, lacking, shared_node
from tests.broker.system.test_system_broker import _ended, _held, _leases
from tests.disks import small_disk


@pytest.fixture
def disk() -> Iterator[Path]:
    """One of two megabytes."""
    if lacking():
        pytest.skip(lacking())
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        with small_disk(Path(top, "state"), "2m") as mount:
            yield mount


@pytest.fixture
def node(disk: Path) -> Iterator[SharedNode]:
    """A node that keeps its state there."""
    with shared_node(state_directory=str(disk)) as one:
        one.start()
        yield one


def test_what_is_held_is_kept_and_what_cannot_be_logged_is_not_granted(
    node: SharedNode, disk: Path
) -> None:
    """Who asks is told why; once there is room he is served."""
    alices = _held(node, ALICE)
    (before,) = _leases(node, ALICE)
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))
    refused = node.asked(BOB, "run", "--size", "1g.5gb", "--", "true")
    assert refused.returncode != 0
    assert b"cannot write its log" in refused.stderr, refused.stderr
    (after,) = _leases(node, ALICE)
    assert (after["lease_id"], after["state"]) == (before["lease_id"], "bound")
    ballast.unlink()
    served = node.asked(BOB, "run", "--size", "1g.5gb", "--", "true")
    assert served.returncode == 0, (served.stderr, node.said())
    _ended(alices)
    whole = node.asked(BOB, "run", "--size", "7g.40gb", "--", "true")
    assert whole.returncode == 0, whole.stderr
    assert "Traceback" not in node.said(), node.said()
