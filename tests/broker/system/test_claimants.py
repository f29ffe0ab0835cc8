"""A node's broker and GPUs that somebody else manages."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.broker.claimants.trees import GRES_CONF, PLUGINS, checkpoint, service, write
from tests.broker.system.shared_node import (
    ALICE,
    BOB,
    PATIENCE_SECONDS,
    SharedNode,
    lacking,
    shared_node,
)
from tests.broker.system.test_system_broker import _ended, _held, _leases


@pytest.fixture
def node() -> Iterator[SharedNode]:
    """One that has never been started."""
    if lacking():
        pytest.skip(lacking())
    with shared_node() as one:
        yield one


def refused(node: SharedNode) -> str:
    """What the broker says when it does not start."""
    done = node.asked(0, "broker", "--config", str(node.configuration))
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert not node.socket.exists()
    return said


def test_it_does_not_start_on_gpus_of_slurms(node: SharedNode) -> None:
    """It says which, by which line, and what to do; so does looking at its configuration."""
    file = write(node.tree, GRES_CONF, "AutoDetect=nvml\n")
    said = refused(node)
    assert "GPU 0 is managed by Slurm already." in said
    assert f"{file} line 1 (AutoDetect=nvml)" in said
    assert "Take them out of gres.conf" in said
    checked = node.asked(0, "broker", "--config", str(node.configuration), "--check")
    assert f"Slurm manages GPUs here: {file} line 1" in checked.stdout.decode()


def test_root_reads_what_the_broker_may_not(node: SharedNode) -> None:
    """A kubelet's directory is closed to the user whom the broker becomes."""
    (gpu,) = [uuid for uuid in node.configuration.read_text().split('"') if uuid[:4] == "GPU-"]
    checkpoint(node.tree, {"nvidia.com/gpu": [gpu]})
    (node.tree / PLUGINS).chmod(0o700)
    assert "GPU 0 is managed by Kubernetes already." in refused(node)


def test_who_cuts_at_boot_alone_can_be_put_up_with() -> None:
    """By the administrator's word, and not otherwise."""
    if lacking():
        pytest.skip(lacking())
    with shared_node() as other:
        (gpu,) = [uuid for uuid in other.configuration.read_text().split('"') if uuid[:4] == "GPU-"]
        service(other.tree)
        assert "claimed_gpus_are_ours" in refused(other)
    with shared_node(claimed_gpus_are_ours=[gpu]) as node:
        service(node.tree)
        node.start()
        assert node.running


def test_a_gpu_that_is_claimed_later_is_handed_out_no_more() -> None:
    """Root looks again, for the broker may not read all that tells. Who has a slice keeps it, who
    asks is told whose the GPU is; when it is ours again there are slices again.
    """
    if lacking():
        pytest.skip(lacking())
    with shared_node(look_out_seconds=0.05) as node:
        node.start()
        alices = _held(node, ALICE)
        (gpu,) = [uuid for uuid in node.configuration.read_text().split('"') if uuid[:4] == "GPU-"]
        file = checkpoint(node.tree, {"nvidia.com/gpu": [gpu]})
        (node.tree / PLUGINS).chmod(0o700)
        said = eventually(node, ("Claimed ",))
        assert f'Claimed gpu={gpu} who="Kubernetes, {file}"' in said
        refused = node.asked(BOB, "run", "--no-wait", "--size", "1g.5gb", "--", "true")
        assert b"managed by others now: Kubernetes" in refused.stderr, refused.stderr
        assert [lease["state"] for lease in _leases(node, ALICE)] == ["bound"]
        file.unlink()
        eventually(node, ("Unclaimed ",))
        given = node.asked(BOB, "run", "--size", "1g.5gb", "--", "true")
        assert given.returncode == 0, given.stderr
        _ended(alices)


def eventually(node: SharedNode, words: tuple[str, ...]) -> str:
    """The broker's log, once it has all these words."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not all(word in node.said() for word in words):
        assert time.monotonic() < give_up_at, node.said()
        time.sleep(0.02)
    return node.said()
