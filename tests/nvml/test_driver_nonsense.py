"""Answers that no driver should give, and that some will."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynvml
import pytest

from jupyter_mig import errors
from tests.nvml.nodes import Install


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        ("nvmlDeviceGetCount", 7),
        ("nvmlDeviceGetUUID", ""),
        ("nvmlDeviceGetUUID", "None"),
        ("nvmlDeviceGetName", UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")),
    ],
)
def test_nonsense_of_one_gpu_is_not_the_others(
    install: Install, monkeypatch: pytest.MonkeyPatch, function: str, answer: object
) -> None:
    """Too many GPUs counted, a GPU without UUID, a name that is no text: that one is left out."""
    driver, _ = install("2xA30")
    original = getattr(pynvml, function)
    asked = 0

    def odd(*given: object) -> object:
        nonlocal asked
        asked += 1
        if asked > 1:
            return original(*given)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(pynvml, function, odd)
    found = driver.gpus()
    assert len(found) == (2 if function == "nvmlDeviceGetCount" else 1)
    assert driver.gpus()[0].name


def test_when_all_is_nonsense_that_is_the_error(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours, not a traceback."""
    driver, _ = install("2xA30")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lambda _: "")
    with pytest.raises(errors.DriverError, match="nonsense"):
        driver.gpus()


def more_than_there_are(_handles: Any, count: Any) -> None:
    """A count beyond the array."""
    count._obj.value = 99


def null_handles(handles: Any, count: Any) -> None:
    """An instance that is nowhere."""
    handles[0] = None
    count._obj.value = 1


@pytest.mark.parametrize("twist", [more_than_there_are, null_handles])
def test_an_observation_is_whole_or_an_error(
    install: Install, monkeypatch: pytest.MonkeyPatch, twist: Callable[[Any, Any], None]
) -> None:
    """Wrong counts and null handles: an error, never a part of what is there."""
    driver, node = install("1xA30?time_scale=0")
    node.create(0, "1g.6gb")
    (gpu,) = driver.gpus()
    original = pynvml.nvmlDeviceGetGpuInstances

    def odd(device: object, profile: object, handles: Any, count: Any) -> None:
        original(device, profile, handles, count)
        twist(handles, count)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetGpuInstances", odd)
    with pytest.raises(errors.DriverError):
        driver.instances(gpu.uuid)
    monkeypatch.undo()
    assert len(driver.instances(gpu.uuid)) == 1


def test_profiles_without_any_memory_have_names(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that knows no memory sizes still has a GPU that can be looked at."""
    driver, _ = install("1xA30?time_scale=0")
    original = pynvml.nvmlDeviceGetGpuInstanceProfileInfo

    def odd(*given: object, **options: object) -> Any:
        found = original(*given, **options)
        found.memorySizeMB = 0
        found.name = b""
        return found

    def no_memory(*_given: object, **_options: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetGpuInstanceProfileInfo", odd)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", no_memory)
    (gpu,) = driver.gpus()
    assert gpu.memory_bytes == 0
    assert all(profile.name for profile in gpu.geometry.profiles)
