from __future__ import annotations

import os
import subprocess
import sys

import pynvml
import pytest

from jupyter_mig import errors
from jupyter_mig.core.geometry import Identity
from tests.nvml.nodes import Install


def test_a_whole_gpu_tells_its_memory_and_who_computes_on_it(install: Install) -> None:
    """Without MIG a GPU is asked itself; who only draws a desktop is not on it."""
    driver, node = install("1xA30?mig=off")
    (gpu,) = driver.gpus()
    whole = Identity.of_gpu(gpu.uuid)
    assert driver.instances(gpu.uuid) == ()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as desktop:
        with node.graphics_client(gpu.uuid, desktop.pid):
            assert driver.occupants(gpu.uuid, whole) == ()
            with node.cuda_client(gpu.uuid):
                assert driver.occupants(gpu.uuid, whole) == (os.getpid(),)
        desktop.kill()
    assert driver.memory(whole)[1] == gpu.memory_bytes


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
