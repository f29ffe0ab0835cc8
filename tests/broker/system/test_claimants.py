"""A node's broker and GPUs that somebody else manages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.broker.claimants.trees import GRES_CONF, PLUGINS, checkpoint, service, write
from tests.broker.system.shared_node import SharedNode, lacking, shared_node


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
