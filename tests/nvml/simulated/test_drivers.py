"""One board under several drivers."""

from __future__ import annotations

from pathlib import Path

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated.drivers import DRIVERS, NEWEST
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu


def listing(spec: str) -> dict[str, int]:
    """Profile names and MiB, as the driver tells them."""
    with program.running(spec):
        return {name: info.memorySizeMB for name, info in program.profiles(gpu()).items()}


@pytest.mark.parametrize(
    ("model", "driver", "some"),
    [
        ("A100-SXM4-80GB", "535", {"1g.10gb": 9856, "3g.40gb": 40448, "7g.80gb": 81152}),
        ("A100-SXM4-80GB", "590", {"1g.10gb": 9728, "3g.40gb": 40192, "7g.80gb": 80896}),
        ("H200", "535", {"1g.18gb": 16384, "3g.71gb": 71168}),
        ("H200", "590", {"1g.18gb": 16384, "3g.71gb": 71424}),
        ("B200", "575", {"1g.23gb": 22528, "1g.23gb+me": 22528}),
        ("B200", "590", {"1g.23gb": 20992, "1g.23gb+me": 20992}),
        ("GB200", "575", {"1g.24gb": 20480, "1g.24gb+me": 20480, "7g.189gb": 188928}),
        ("GB200", "590", {"1g.23gb": 22528, "1g.23gb+me": 22528, "7g.186gb": 188928}),
    ],
)
def test_memory_and_names_differ_by_driver(model: str, driver: str, some: dict[str, int]) -> None:
    """One board, one profile id, and another number or name: nobody may know them by heart."""
    found = listing(f"1x{model}?driver={driver}")
    assert some.items() <= found.items()
    assert len(found) == len(listing(f"1x{model}"))


def test_a_slice_has_the_memory_its_driver_tells() -> None:
    """Readings and names of MIG devices follow the driver's table."""
    with program.running("1xGB200?driver=575") as node:
        device = pynvml.nvmlDeviceGetHandleByUUID(node.create(0, "1g.24gb"))
        assert pynvml.nvmlDeviceGetName(device) == "NVIDIA GB200 MIG 1g.24gb"
        assert pynvml.nvmlDeviceGetMemoryInfo(device).total == 20480 << 20


@pytest.mark.parametrize("driver", DRIVERS)
def test_drivers_tell_their_version(driver: str) -> None:
    """Branch and CUDA version fit together."""
    with program.running(f"1xA30?driver={driver}"):
        version = pynvml.nvmlSystemGetDriverVersion()
        cuda = pynvml.nvmlSystemGetCudaDriverVersion()
        assert version.startswith(f"{driver}.")
        assert pynvml.nvmlSystemGetNVMLVersion() == f"{cuda // 1000}.{version}"


def test_an_old_library_lacks_the_newer_functions() -> None:
    """What 535 does not have is Function Not Found there, and is answered by the newest."""

    def newer() -> list[int]:
        return [
            code(pynvml.nvmlDeviceGetGpuInstanceProfileInfoById, gpu(), 14),
            code(pynvml.nvmlDeviceGetProcessesUtilizationInfo, gpu(), 0),
            code(pynvml.nvmlDeviceGetHandleByUUIDV, node.gpus[0].uuid, pynvml.NVML_UUID_TYPE_ASCII),
        ]

    with program.running("1xA30?driver=535") as node:
        assert newer() == [13, 13, 13]
    with program.running("1xA30") as node:
        assert newer() == [0, 3, 0]


def test_what_a_driver_lacks_is_a_function_of_the_newest() -> None:
    """A name that nobody has would hide a mistake in the table."""
    known = simulated.library.functions(DRIVERS[NEWEST])
    assert all(driver.lacks <= set(known) for driver in DRIVERS.values())


def test_a_state_keeps_its_driver(tmp_path: Path) -> None:
    """Those who attach see its names; another driver on the same state is refused."""
    state = tmp_path / "silicon.json"
    with program.running("1xGB200?driver=575", state=state) as node:
        node.create(0, "1g.24gb")
    with simulated.attached(state) as outside:
        assert outside.gpus[0].instances[0].profile == "1g.24gb"
    with (
        pytest.raises(simulated.StateError, match="driver 575"),
        simulated.installed("1xGB200", state=state),
    ):
        pass
