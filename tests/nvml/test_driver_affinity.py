"""What the driver makes of the CPUs near a GPU."""

from __future__ import annotations

import os

import pytest

from jupyter_mig import errors
from jupyter_mig.nvml.simulated import Fault
from jupyter_mig.nvml.translation import FUNCTION_NOT_FOUND
from tests.nvml.nodes import Install, on_call

SCOPED = "nvmlDeviceGetCpuAffinityWithinScope"


def test_each_gpu_has_its_own(install: Install) -> None:
    """Between them they are near all CPUs of a machine of two nodes."""
    driver, _ = install("2xA30?time_scale=0&numa=2")
    first, second = (driver.near_cpus(gpu.uuid) for gpu in driver.gpus())
    assert first
    assert second
    assert first != second or os.cpu_count() == 1


def test_older_drivers_are_asked_in_the_old_way(install: Install) -> None:
    """They lack the call that has a scope."""
    driver, node = install("1xA30?time_scale=0")
    node.inject(Fault(SCOPED, FUNCTION_NOT_FOUND, None))
    (gpu,) = driver.gpus()
    assert driver.near_cpus(gpu.uuid)


def test_it_is_asked_once(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither GPUs nor CPUs move."""
    driver, _ = install("1xA30?time_scale=0")
    (gpu,) = driver.gpus()
    asked: list[str] = []
    on_call(monkeypatch, SCOPED, lambda: asked.append(SCOPED))
    assert driver.near_cpus(gpu.uuid) == driver.near_cpus(gpu.uuid)
    assert len(asked) == 1


def test_a_gpu_that_cannot_tell(install: Install) -> None:
    """Says so: that is no empty set."""
    driver, _ = install("1xA30?time_scale=0&numa=0")
    (gpu,) = driver.gpus()
    with pytest.raises(errors.NotSupported):
        driver.near_cpus(gpu.uuid)
