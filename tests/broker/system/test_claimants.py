"""A node's broker and GPUs that somebody else manages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from jupyter_mig.nvml.driver import open_driver
from tests.broker.claimants.trees import GRES_CONF, PLUGINS, checkpoint, service, write
from tests.broker.system.shared_node import (
    ALICE,
    BOB,
    PATIENCE_SECONDS,
    SharedNode,
    lacking,
    shared_node,
    standing,
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


class _Hopper(SharedNode):
    """MIG mode is off, as after each boot."""

    hardware = "1xH100 80GB HBM3?time_scale=0&mig=off"

    def is_on(self) -> bool:
        """Whether it has been turned on."""
        driver = open_driver(self.driver, self.directory / "state" / "simulated.json")
        with closing(driver):
            (gpu,) = driver.gpus()
            return gpu.mig_enabled


@pytest.mark.parametrize("asked_for", [{}, {"enable_mig_mode": False}, {"enable_mig_mode": True}])
def test_mig_mode_is_turned_on_where_an_administrator_wants_it(asked_for: dict[str, bool]) -> None:
    """And nowhere else: whoever computes there without MIG could not any more."""
    if lacking():
        pytest.skip(lacking())
    with standing(_Hopper, **asked_for) as node:
        node.start()
        assert node.is_on() == asked_for.get("enable_mig_mode", False), node.said()


def test_the_mode_of_a_claimed_gpu_is_left_alone() -> None:
    """The broker does not start; its helper has turned on nothing meanwhile."""
    if lacking():
        pytest.skip(lacking())
    with standing(_Hopper, enable_mig_mode=True) as node:
        claim = write(node.tree, GRES_CONF, "AutoDetect=nvml\n")
        assert "GPU 0 is managed by Slurm already." in refused(node)
        assert not node.is_on()
        claim.unlink()
        node.start()
        assert node.is_on()


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
