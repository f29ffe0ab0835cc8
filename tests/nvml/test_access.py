from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from jupyter_mig.core.geometry import Identity
from jupyter_mig.nvml.access import NOWHERE, AccessNodes


@pytest.fixture
def access(tmp_path: Path) -> AccessNodes:
    """Capability files and nodes in an empty folder."""
    nodes = AccessNodes(tmp_path / "capabilities", tmp_path / "nvidia-caps")
    nodes.dev.mkdir()
    return nodes


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, as pytest's may not be."""
    with TemporaryDirectory(prefix="mig-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def describe(capability: Path, minor: int) -> None:
    """Write a capability file as the driver words it."""
    capability.parent.mkdir(parents=True, exist_ok=True)
    capability.write_text(
        f"DeviceFileMinor: {minor}\nDeviceFileMode: 292\nDeviceFileModify: 1\n", encoding="ascii"
    )


def test_capability_files_name_the_nodes(access: AccessNodes) -> None:
    """The GPU instance's node comes first, then the compute instance's."""
    folder = access.proc / "gpu3" / "mig" / "gi9"
    describe(folder / "access", 77)
    describe(folder / "ci0" / "access", 78)
    nodes = [access.dev / "nvidia-cap77", access.dev / "nvidia-cap78"]
    for node in nodes:
        node.touch()
    assert access.of(3, Identity(9, 0)) == tuple(nodes)


@pytest.mark.parametrize(
    ("gpu", "gi", "ci", "minors"), [(0, 0, 0, (3, 4)), (31, 14, 7, (4314, 4322))]
)
def test_without_capability_files_the_fixed_numbers_hold(
    access: AccessNodes, gpu: int, gi: int, ci: int, minors: tuple[int, int]
) -> None:
    """A container that has only the nodes finds them; the last of all is 4322."""
    nodes = tuple(access.dev / f"nvidia-cap{minor}" for minor in minors)
    for node in nodes:
        node.touch()
    assert access.of(gpu, Identity(gi, ci)) == nodes


def test_an_instance_without_compute_instance_has_one_node(access: AccessNodes) -> None:
    """Half-made instances are reached through the GPU instance's node alone."""
    (access.dev / "nvidia-cap3").touch()
    assert access.of(0, Identity(0)) == (access.dev / "nvidia-cap3",)


def test_what_does_not_exist_is_not_named(access: AccessNodes) -> None:
    """Without nodes there is nothing to open."""
    assert access.of(0, Identity(1, 0)) == ()


def test_a_simulated_node_has_no_device_nodes() -> None:
    """Not even on a machine that has real ones."""
    assert NOWHERE.of(0, Identity(0, 0)) == ()
    assert NOWHERE.own(0, Identity(0, 0)) == NOWHERE.closed(0, Identity(0, 0)) == ()


def test_a_whole_gpu_has_the_node_of_its_minor_number(tmp_path: Path) -> None:
    """Under a root as in the system; it is named even if it is not there."""
    access = AccessNodes.under(tmp_path)
    whole = Identity.of_gpu("GPU-x")
    node = tmp_path / "dev" / "nvidia7"
    assert access.own(7, whole) == access.closed(7, whole) == (node,)
    assert access.of(7, whole) == ()
    node.parent.mkdir()
    node.touch()
    assert access.of(7, whole) == (node,)
    assert access.closed(7, whole) == ()


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """A MIG instance needs its GPU's node too, and both of its own."""
    access = AccessNodes.under(tmp_path)
    access.dev.mkdir(parents=True)
    (access.gpus / "nvidia0").touch()
    (access.dev / "nvidia-cap3").touch()
    assert access.closed(0, Identity(0, 0)) == (access.dev / "nvidia-cap4",)
    (access.dev / "nvidia-cap4").touch()
    assert access.closed(0, Identity(0, 0)) == ()
    (access.gpus / "nvidia0").unlink()
    assert access.closed(0, Identity(0, 0)) == (access.gpus / "nvidia0",)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user and come back")
def test_another_users_node_is_closed(open_folder: Path) -> None:
    """What an administrator gave to one user, another cannot use; root can."""
    access = AccessNodes.under(open_folder)
    access.dev.mkdir(parents=True)
    for node, mode in ((access.gpus / "nvidia0", 0o666), (access.dev / "nvidia-cap3", 0o444)):
        node.touch()
        node.chmod(mode)
    private = access.dev / "nvidia-cap4"
    private.touch()
    private.chmod(0o400)
    os.seteuid(64101)
    try:
        assert access.closed(0, Identity(0, 0)) == (private,)
    finally:
        os.seteuid(0)
    assert access.closed(0, Identity(0, 0)) == ()
