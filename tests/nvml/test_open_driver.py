from __future__ import annotations

import fcntl
import os
from contextlib import closing
from ctypes.util import find_library
from pathlib import Path

import pynvml
import pytest

from jupyter_mig import errors
from jupyter_mig.core.geometry import Identity, Spec
from jupyter_mig.nvml.access import AccessNodes
from jupyter_mig.nvml.driver import Driver, open_driver

A100 = "simulated:1xA100-SXM4-40GB?time_scale=0"


@pytest.mark.parametrize("name", ["", "NVML", "cuda", "simulated", "simulated:", "nvml:0"])
def test_unknown_drivers_are_refused_with_those_allowed(name: str) -> None:
    """The error names both kinds of driver and how to choose."""
    with pytest.raises(errors.UnknownDriver, match="simulated:2xA100-SXM4-40GB") as caught:
        open_driver(name)
    assert "nvml" in caught.value.situation


def test_a_node_that_cannot_be_simulated_is_an_unknown_driver() -> None:
    """A model nobody simulates is refused, and pynvml is left as it was."""
    before = pynvml.nvmlLib
    with pytest.raises(errors.UnknownDriver):
        open_driver("simulated:3xVoodoo2")
    assert pynvml.nvmlLib is before


@pytest.mark.skipif(
    any(map(os.path.exists, ("/proc/driver/nvidia/version", "/dev/dxg"))),
    reason="this machine has an NVIDIA driver",
)
def test_without_an_nvidia_driver_nvml_says_what_to_do() -> None:
    """The real library is missing, or has no kernel module: the error offers the simulated way."""
    with pytest.raises(errors.NoDriver, match="JUPYTER_MIG_DRIVER=simulated:") as caught:
        open_driver("nvml")
    assert caught.value.code == (12 if find_library("nvidia-ml") is None else 9)


def test_a_simulated_library_goes_when_the_driver_closes() -> None:
    """It is installed for the life of the driver, and another may follow."""
    before = pynvml.nvmlLib
    for _ in range(2):
        with closing(open_driver(A100)) as driver:
            assert (driver.name, driver.simulated) == (A100, True)
            assert pynvml.nvmlLib is not before
        assert pynvml.nvmlLib is before


def test_simulated_silicon_outlives_its_driver(tmp_path: Path) -> None:
    """Instances made by one process are there for the next."""
    state = tmp_path / "simulated.json"
    with closing(open_driver(A100, state)) as driver:
        (gpu,) = driver.gpus()
        identity = driver.create(Spec(gpu.uuid, 9, 4))
    with closing(open_driver(A100, state)) as driver:
        assert driver.instances(gpu.uuid)[0].identity == identity


def test_a_spoilt_state_file_is_told(tmp_path: Path) -> None:
    """A file that is no node's silicon is refused, and pynvml is left as it was."""
    state = tmp_path / "simulated.json"
    state.write_text("nonsense", encoding="utf-8")
    before = pynvml.nvmlLib
    with pytest.raises(errors.NoDriver, match=r"simulated\.json"):
        open_driver(A100, state)
    assert pynvml.nvmlLib is before


def test_a_simulated_instance_has_no_device_nodes() -> None:
    """Nothing on this machine gives access to what does not exist."""
    with closing(open_driver(A100)) as driver:
        (gpu,) = driver.gpus()
        identity = driver.create(Spec(gpu.uuid, 9, 4))
        assert driver.access_paths(gpu.uuid, identity) == ()


def test_device_nodes_go_by_the_minor_number(tmp_path: Path) -> None:
    """Capability files count GPUs as ``/dev/nvidiaN`` does, not as NVML does."""
    from jupyter_mig.nvml import simulated

    library = simulated.installed("2xA30?time_scale=0")
    driver = Driver(access=AccessNodes(tmp_path, tmp_path), library=library)
    with closing(driver):
        for gpu in driver.gpus():
            node = tmp_path / f"nvidia-cap{3 + 135 * gpu.minor}"
            node.touch()
            assert driver.access_paths(gpu.uuid, Identity(0)) == (node,)


def test_a_simulated_instance_has_nodes_under_a_root(tmp_path: Path) -> None:
    """What the driver names can be locked by one at a time; it goes with the instance."""
    root = tmp_path / "root"
    with closing(open_driver(f"simulated:2xA30?time_scale=0&root={root}")) as driver:
        gpu = driver.gpus()[0]
        identity = driver.create(Spec(gpu.uuid, 14, 0))
        paths = driver.access_paths(gpu.uuid, identity)
        assert [path.name for path in paths] == ["nvidia-cap165", "nvidia-cap166"]
        with paths[0].open("rb") as mine, paths[0].open("rb") as theirs:
            fcntl.flock(mine, fcntl.LOCK_EX)
            with pytest.raises(BlockingIOError):
                fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        driver.destroy(gpu.uuid, identity)
        assert driver.access_paths(gpu.uuid, identity) == ()


def test_a_root_that_cannot_be_written_is_no_driver(tmp_path: Path) -> None:
    """And pynvml is left as it was."""
    (tmp_path / "file").touch()
    before = pynvml.nvmlLib
    with pytest.raises(errors.NoDriver, match="cannot be laid out"):
        open_driver(f"simulated:1xA30?root={tmp_path}/file")
    assert pynvml.nvmlLib is before
