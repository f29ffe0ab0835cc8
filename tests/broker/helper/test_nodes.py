"""Whose the device nodes of an instance are, on character devices of ours with real users."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.helper.nodes import InstanceNodes
from tests.broker.opening import CLOSED, NOTHING_BEHIND, opening

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root makes device nodes")

ALICE, BOB = 64201, 64202
OPENS = os.makedev(1, 8)
"""A device that opens for real and that nobody has open: /dev/random."""
NO_DRIVER = os.makedev(240, 12)

_EAGER = """
import os, sys
print("there", flush=True)
while True:
    try:
        os.close(os.open(sys.argv[1], os.O_RDONLY))
    except OSError:
        pass
"""


@pytest.fixture
def nodes(tmp_path: Path) -> InstanceNodes:
    """The nodes of a GPU instance and its compute instance, open to all as the driver makes them.

    Pytest's own directories are closed to other users; this one is reached by its path.
    """
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    return InstanceNodes((_pair(tmp_path, "66", OPENS), _pair(tmp_path, "67", NO_DRIVER)))


def _pair(folder: Path, number: str, device: int) -> tuple[Path, Path]:
    node, capability = folder / f"nvidia-cap{number}", folder / f"access{number}"
    os.mknod(node, stat.S_IFCHR | 0o444, device)
    node.chmod(0o444)
    capability.write_text(f"DeviceFileMinor: {number}\nDeviceFileModify: 1\n")
    return node, capability


def test_the_user_of_a_lease_opens_them_and_nobody_else(nodes: InstanceNodes) -> None:
    """By mode for the others; a node that may be opened has no driver behind it here."""
    (instance, _), (compute, _) = nodes.pairs
    assert (opening(instance, BOB), opening(compute, BOB)) == ("", NOTHING_BEHIND)
    nodes.give_to(ALICE)
    assert (opening(instance, ALICE), opening(compute, ALICE)) == ("", NOTHING_BEHIND)
    assert (opening(instance, BOB), opening(compute, BOB)) == (CLOSED, CLOSED)


def test_closed_nodes_open_for_nobody_until_the_next_tenant(nodes: InstanceNodes) -> None:
    """Undone before they are given to the next."""
    nodes.give_to(ALICE)
    nodes.close()
    for node, _ in nodes.pairs:
        assert (opening(node, ALICE), opening(node, BOB)) == (CLOSED, CLOSED)
    nodes.give_to(BOB)
    for node, _ in nodes.pairs:
        assert opening(node, ALICE) == CLOSED
    assert opening(nodes.pairs[0][0], BOB) == ""


def test_the_driver_may_not_set_them_back(nodes: InstanceNodes) -> None:
    """nvidia-modprobe, which anybody may run, heeds what the capability file says."""
    nodes.give_to(ALICE)
    for _, capability in nodes.pairs:
        assert "DeviceFileModify: 0" in capability.read_text()


def test_a_hard_link_made_before_does_not_reach_the_new_node(
    nodes: InstanceNodes, tmp_path: Path
) -> None:
    """It is another node that gets the new owner."""
    node = nodes.pairs[1][0]
    kept = tmp_path / "kept"
    kept.hardlink_to(node)
    nodes.give_to(ALICE)
    assert kept.stat().st_uid == 0
    assert node.stat().st_uid == ALICE
    assert node.stat().st_rdev == NO_DRIVER


def test_an_open_descriptor_keeps_the_slice_from_being_handed_over(nodes: InstanceNodes) -> None:
    """Whatever path it was opened by; the pid is named and the nodes are closed to all."""
    instance, compute = nodes.pairs[0][0], nodes.pairs[1][0]
    with _opener(instance, "setpriv", f"--reuid={BOB}", "--clear-groups") as pid:
        with pytest.raises(errors.InUse) as refused:
            nodes.give_to(ALICE)
        assert str(pid) in refused.value.situation
        assert (opening(instance, ALICE), opening(compute, ALICE)) == (CLOSED, CLOSED)


@contextmanager
def _opener(node: Path, *started_by: str) -> Iterator[int]:
    """A process that has the node open, started so."""
    command = [*started_by, "sh", "-c", "echo here; exec sleep 60"]
    with node.open("rb") as opened:
        process = subprocess.Popen(command, stdin=opened, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_roots_monitors_keep_no_slice_from_anybody(nodes: InstanceNodes) -> None:
    """DCGM's has them all open."""
    with _opener(nodes.pairs[0][0], "env"):
        assert nodes.openers() == frozenset()
        nodes.give_to(ALICE)


def test_nor_does_the_broker(nodes: InstanceNodes) -> None:
    """It measures slices, and NVML opens what it is asked about."""
    with _opener(nodes.pairs[0][0], "setpriv", f"--reuid={BOB}"):
        with pytest.raises(errors.InUse):
            nodes.give_to(ALICE)
        InstanceNodes(nodes.pairs, broker=BOB).give_to(ALICE)


@pytest.mark.parametrize(
    "started_by",
    [
        ("setpriv", f"--ruid={ALICE}"),
        ("unshare", "--pid", "--fork", "--kill-child"),
    ],
    ids=["by a setuid program", "in a container"],
)
def test_who_is_root_in_part_is_no_monitor_of_roots(
    nodes: InstanceNodes, started_by: tuple[str, ...]
) -> None:
    """Users can start the one, and be the other."""
    with _opener(nodes.pairs[0][0], *started_by), pytest.raises(errors.InUse):
        nodes.give_to(ALICE)


def test_a_node_that_is_missing_is_given_to_nobody_and_keeps_nobody(nodes: InstanceNodes) -> None:
    """Somebody has removed it. The other is closed, and looked at, as ever."""
    (instance, _), (compute, _) = nodes.pairs
    nodes.give_to(ALICE)
    compute.unlink()
    assert nodes.belong_to(ALICE)
    assert nodes.devices() == {OPENS}
    assert nodes.openers() == frozenset()
    nodes.close()
    assert opening(instance, ALICE) == CLOSED
    with pytest.raises(errors.NoPermission, match="cannot be closed") as refused:
        nodes.give_to(ALICE)
    assert "missing" in refused.value.situation
    assert opening(instance, ALICE) == CLOSED


def test_a_node_that_nobody_has_asked_for_is_made(tmp_path: Path) -> None:
    """The driver's tool makes nodes when they are first opened: of a fresh instance there may be
    none. Its number is what the kernel and the capability file say.
    """
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    capability = tmp_path / "proc/driver/nvidia/capabilities/gpu0/mig/gi7/access"
    capability.parent.mkdir(parents=True)
    capability.write_text("DeviceFileMinor: 66\nDeviceFileModify: 1\n")
    devices = "Character devices:\n  1 mem\n195 nvidia\n240 nvidia-caps\n\nBlock devices:\n  8 sd\n"
    (tmp_path / "proc/devices").write_text(devices)
    node = tmp_path / "nvidia-cap66"
    InstanceNodes(((node, capability),)).give_to(ALICE)
    assert node.stat().st_rdev == os.makedev(240, 66)
    assert (opening(node, ALICE), opening(node, BOB)) == (NOTHING_BEHIND, CLOSED)


def test_who_tries_all_the_time_does_not_spoil_what_he_is_given(nodes: InstanceNodes) -> None:
    """A program of the next user's opens whatever it can: it gets in once the slice is his, and is
    no intruder in the moment before.
    """
    nodes.close()
    command = ["/usr/bin/python3", "-c", _EAGER, str(nodes.pairs[0][0])]
    who: dict[str, Any] = {"user": ALICE, "group": ALICE, "extra_groups": []}
    with subprocess.Popen(command, stdout=subprocess.PIPE, **who) as eager:
        assert eager.stdout is not None
        assert eager.stdout.readline()
        try:
            for _ in range(30):
                nodes.give_to(ALICE)
                nodes.close()
                while nodes.openers():
                    pass
        finally:
            eager.kill()


def test_a_mere_path_keeps_no_slice_from_anybody(nodes: InstanceNodes) -> None:
    """Any user may have one of any node; the kernel module does not take it for an open node."""
    instance = nodes.pairs[0][0]
    nodes.close()
    holder = os.open(instance, os.O_PATH)
    try:
        nodes.give_to(ALICE)
        assert nodes.openers() == frozenset()
    finally:
        os.close(holder)


def test_what_is_no_device_is_not_replaced(nodes: InstanceNodes) -> None:
    """A regular file in a node's place, put there by whoever could: nothing is handed over."""
    node = nodes.pairs[1][0]
    node.unlink()
    node.write_text("")
    with pytest.raises(errors.NoPermission, match="cannot be closed"):
        nodes.give_to(ALICE)
    assert node.stat().st_uid == 0


def test_a_capability_file_that_is_not_there_protects_nothing(nodes: InstanceNodes) -> None:
    """Then the mode of the node would be a fiction."""
    nodes.pairs[1][1].unlink()
    nodes.pairs[1][1].mkdir()
    with pytest.raises(errors.NoPermission) as refused:
        nodes.give_to(ALICE)
    assert os.strerror(errno.EISDIR) in refused.value.situation
