"""How busy slices are, on drivers and boards that cannot tell."""

from __future__ import annotations

import pytest

from jupyter_mig import errors
from jupyter_mig.core.geometry import Identity
from jupyter_mig.nvml.driver import Driver
from jupyter_mig.nvml.simulated import Code, Fault
from tests.nvml.nodes import Install, on_call, spec_of

H100 = "1xH100 80GB HBM3?time_scale=0"


def busy(driver: Driver, gpu_uuid: str, identity: Identity) -> dict[str, float]:
    """Between two looks, nothing kept."""
    earlier, later = (driver.keep_counters(gpu_uuid, identity) for _ in range(2))
    try:
        return driver.percent_between(gpu_uuid, earlier, later)
    finally:
        driver.forget_counters(gpu_uuid, earlier)
        driver.forget_counters(gpu_uuid, later)


def test_a_driver_from_before_the_counters_has_none(install: Install) -> None:
    """A function that the library lacks is a board without counters, not a failure."""
    driver, node = install(H100)
    (gpu,) = driver.gpus()
    node.inject(Fault("nvmlGpmQueryDeviceSupport", Code.FUNCTION_NOT_FOUND, times=None))
    with pytest.raises(errors.NotSupported, match="no performance counters"):
        driver.keep_counters(gpu.uuid, driver.create(spec_of(gpu)))


def test_a_look_that_fails_keeps_no_memory_of_the_drivers(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was allotted for it is given back; the next look works."""
    driver, node = install(H100)
    (gpu,) = driver.gpus()
    identity = driver.create(spec_of(gpu))
    events: list[str] = []
    on_call(monkeypatch, "nvmlGpmSampleAlloc", lambda: events.append("allotted"))
    on_call(monkeypatch, "nvmlGpmSampleFree", lambda: events.append("given back"))
    node.inject(Fault("nvmlGpmMigSampleGet", Code.UNKNOWN, times=1))
    with pytest.raises(errors.DriverError):
        driver.keep_counters(gpu.uuid, identity)
    assert events == ["allotted", "given back"]
    assert busy(driver, gpu.uuid, identity)


def test_a_slice_without_a_compute_instance_is_not_busy(install: Install) -> None:
    """Nothing can run on it, and it says so."""
    driver, _ = install(H100)
    (gpu,) = driver.gpus()
    with pytest.raises(errors.NotFound, match="no compute instance"):
        driver.keep_counters(gpu.uuid, Identity(7))


def test_counters_without_a_driver_are_nobodys(install: Install) -> None:
    """A driver that is gone takes its memory along: forgetting and closing go on as ever."""
    driver, node = install(H100)
    (gpu,) = driver.gpus()
    identity = driver.create(spec_of(gpu))
    first, _second = (driver.keep_counters(gpu.uuid, identity) for _ in range(2))
    node.remove_driver()
    driver.forget_counters(gpu.uuid, first)
    driver.close()


def test_samples_are_freed_before_the_session_ends(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVML may not be asked to afterwards."""
    driver, _ = install(H100)
    (gpu,) = driver.gpus()
    driver.keep_counters(gpu.uuid, driver.create(spec_of(gpu)))
    events: list[str] = []
    on_call(monkeypatch, "nvmlGpmSampleFree", lambda: events.append("freed"))
    on_call(monkeypatch, "nvmlShutdown", lambda: events.append("over"))
    driver.close()
    assert events == ["freed", "over"]


@pytest.mark.parametrize(("node", "counts"), [("1xH200?mig=off", True), ("1xA30?mig=off", False)])
def test_a_whole_gpu_has_counters_or_the_drivers_number(
    install: Install, node: str, counts: bool
) -> None:
    """Without MIG there is always something."""
    driver, _ = install(node)
    (gpu,) = driver.gpus()
    identity = Identity.of_gpu(gpu.uuid)
    if counts:
        assert busy(driver, gpu.uuid, identity)["sm"] == 0
    else:
        with pytest.raises(errors.NotSupported):
            driver.keep_counters(gpu.uuid, identity)
    assert driver.busy_percent(gpu.uuid) == 0


def test_in_mig_mode_the_drivers_number_does_not_exist(install: Install) -> None:
    """It would be of all slices together."""
    driver, _ = install(H100)
    (gpu,) = driver.gpus()
    with pytest.raises(errors.NotSupported):
        driver.busy_percent(gpu.uuid)


def test_each_metric_fails_for_itself(install: Install) -> None:
    """One that this board has not got is left out, the others stay."""
    driver, _ = install(H100)
    (gpu,) = driver.gpus()
    assert busy(driver, gpu.uuid, driver.create(spec_of(gpu))).keys() == {"sm", "graphics"}
