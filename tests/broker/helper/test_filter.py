"""The filter for cgroups, asked by the real kernel; only the driver behind the nodes is missing."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.helper.filter.device_filter import DeviceFilter, take_away
from tests.broker.helper.cgroups import below, lacking, opening, tree
from tests.broker.opening import NOTHING_BEHIND

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking() or "cgroups")

FILTERED = os.strerror(errno.EPERM)
MAJOR = 240
GPU = 1
FIRST, SECOND = (3 + 135 * GPU + 9 * gi for gi in (7, 8))


def node(directory: Path, minor: int, major: int = MAJOR) -> Path:
    """A device node that everybody may open."""
    path = directory / f"cap{major}-{minor}"
    os.mknod(path, 0o020666, os.makedev(major, minor))
    return path


@pytest.fixture
def top() -> Iterator[Path]:
    """A tree of cgroups."""
    with tree() as made:
        yield made


@pytest.fixture
def devices(top: Path) -> Iterator[DeviceFilter]:
    """The filter on it, with both slices closed."""
    filter_ = DeviceFilter(top, [GPU])
    filter_.close_devices([os.makedev(MAJOR, FIRST), os.makedev(MAJOR, SECOND)])
    yield filter_
    take_away(top)
    filter_.release()


@contextmanager
def somebody(cgroup: Path) -> Iterator[int]:
    """A process there, while the block lasts."""
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    (cgroup / "cgroup.procs").write_text(str(process.pid))
    try:
        yield process.pid
    finally:
        process.communicate()


def let_in(devices: DeviceFilter, cgroup: Path, minor: int) -> None:
    """Let those of that cgroup open the device."""
    with somebody(cgroup) as pid:
        devices.let_in(pid, [os.makedev(MAJOR, minor)])


def test_only_who_was_let_in_may_open(tmp_path: Path, top: Path, devices: DeviceFilter) -> None:
    """Not root of another cgroup either; and only that slice. Those below are as their parent."""
    one, other = below(top, "one"), below(top, "other")
    inner = below(one, "inner")
    first, second = node(tmp_path, FIRST), node(tmp_path, SECOND)
    assert opening(first, one) == FILTERED
    let_in(devices, one, FIRST)
    assert opening(first, one) == opening(first, inner) == NOTHING_BEHIND
    assert opening(first, other) == opening(second, one) == FILTERED
    devices.close_devices([os.makedev(MAJOR, FIRST)])
    assert opening(first, one) == opening(first, inner) == FILTERED


@pytest.mark.parametrize(
    ("major", "minor"),
    [(MAJOR + 1, FIRST), (MAJOR, 1), (MAJOR, 2), (MAJOR, 3), (MAJOR, 3 + 270), (MAJOR, 9000)],
)
def test_other_devices_are_not_its_business(
    tmp_path: Path, top: Path, devices: DeviceFilter, major: int, minor: int
) -> None:
    """Of other drivers, for configuring and monitoring, of GPUs that are not ours."""
    assert opening(node(tmp_path, minor, major), below(top, "one")) != FILTERED
    assert opening(Path("/dev/null"), top / "one") == ""


def test_cgroups_elsewhere_are_not_filtered(tmp_path: Path, devices: DeviceFilter) -> None:
    """Those that are not below the tree."""
    with tree() as elsewhere:
        assert opening(node(tmp_path, FIRST), elsewhere) == NOTHING_BEHIND


def test_it_outlasts_its_maker(tmp_path: Path, top: Path, devices: DeviceFilter) -> None:
    """And the next one knows who is in: closed to others all the time, and one program in all."""
    one, other = below(top, "one"), below(top, "other")
    first, second = node(tmp_path, FIRST), node(tmp_path, SECOND)
    let_in(devices, one, FIRST)
    heir = DeviceFilter(top, [GPU])
    assert (opening(first, one), opening(first, other)) == (NOTHING_BEHIND, FILTERED)
    heir.close_devices([os.makedev(MAJOR, SECOND)])
    assert (opening(first, one), opening(first, other)) == (NOTHING_BEHIND, FILTERED)
    let_in(heir, other, SECOND)
    assert (opening(second, one), opening(second, other)) == (FILTERED, NOTHING_BEHIND)
    take_away(top)
    heir.release()
    assert opening(second, one) == NOTHING_BEHIND


def test_a_process_without_a_cgroup_of_its_own(top: Path, devices: DeviceFilter) -> None:
    """One outside of the tree, or in the tree itself where all are, cannot be told from others."""
    with pytest.raises(errors.NoPermission, match="without a cgroup of its own"):
        devices.let_in(os.getpid(), [os.makedev(MAJOR, FIRST)])
    with pytest.raises(errors.NoPermission), somebody(top) as pid:
        devices.let_in(pid, [os.makedev(MAJOR, FIRST)])
    with pytest.raises(errors.NotFound):
        devices.let_in(2**22 + 1, [os.makedev(MAJOR, FIRST)])


def test_what_is_no_cgroup_cannot_be_filtered(tmp_path: Path) -> None:
    """A wrong directory is told at the start; from one that is gone nothing is to be taken."""
    take_away(tmp_path / "gone")
    with pytest.raises(errors.MalformedSpec, match="it is no cgroup of version 2"):
        DeviceFilter(tmp_path, [0])
