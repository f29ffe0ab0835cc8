from __future__ import annotations

import asyncio
from pathlib import Path

import pynvml
import pytest

from jupyter_mig.errors import UnknownDriver
from jupyter_mig.nvml import simulated
from tests.nvml.simulated import program

GLOBALS = ("nvmlLib", "_nvmlLib_refcount", "_nvmlGetFunctionPointer_cache")


class OtherLibrary:
    """A library that some program loaded before."""

    @staticmethod
    def nvmlInitWithFlags(_flags: int) -> int:  # noqa: N802 - NVML's name
        """Succeed."""
        return 0


def test_pynvml_is_put_back_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Library, count of inits, cache of functions and texts are the objects they were."""
    monkeypatch.setattr(pynvml, "nvmlLib", OtherLibrary())
    monkeypatch.setattr(pynvml, "_nvmlLib_refcount", 0)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    pynvml.nvmlInit()
    before = [getattr(pynvml, name) for name in GLOBALS]
    contents = dict(pynvml._nvmlGetFunctionPointer_cache)
    texts = dict(pynvml.NVMLError._errcode_to_string)
    with program.running("1xA30"):
        assert pynvml.nvmlDeviceGetCount() == 1
        assert str(pynvml.NVMLError(19)) == "In use by another client"
    after = [getattr(pynvml, name) for name in GLOBALS]
    assert all(one is other for one, other in zip(before, after, strict=True))
    assert pynvml._nvmlGetFunctionPointer_cache == contents
    assert texts == pynvml.NVMLError._errcode_to_string


def test_pynvml_is_put_back_when_the_block_fails() -> None:
    """An exception on the way does not leave a simulation behind."""
    before = pynvml.nvmlLib
    with pytest.raises(ZeroDivisionError), program.running("1xA30"):
        raise ZeroDivisionError
    assert pynvml.nvmlLib is before


def test_a_second_node_in_the_same_process_is_refused() -> None:
    """The error says how to have both; the first stays as it is."""
    with program.running("1xA30"):
        with (
            pytest.raises(simulated.AlreadyInstalled, match="one node"),
            simulated.installed("1xH200"),
        ):
            pass
        assert pynvml.nvmlDeviceGetName(program.gpu()) == "NVIDIA A30"


def test_a_function_kept_after_the_end_answers_uninitialized() -> None:
    """Nothing reaches a node that was taken away."""
    with program.running("1xA30"):
        device = program.gpu()
        kept, init = pynvml.nvmlLib.nvmlDeviceGetIndex, pynvml.nvmlLib.nvmlInitWithFlags
    assert kept(device, None) == 1
    assert init(0) == 9


def test_calls_before_init_are_refused_as_by_the_library() -> None:
    """Installing loads the library; it does not initialise it."""
    with simulated.installed("1xA30", time_scale=0):
        assert program.code(pynvml.nvmlDeviceGetCount) == 1
        assert pynvml.nvmlErrorString(1) == "Uninitialized"
        pynvml.nvmlInit()
        assert pynvml.nvmlDeviceGetCount() == 1


def test_keywords_stand_before_options() -> None:
    """What a caller says in code wins over the description."""
    with simulated.installed("1xA30?time_scale=3&privileged=off", time_scale=0) as node:
        assert node.spec == simulated.NodeSpec(("A30",), time_scale=0, privileged=False)


def test_a_description_that_is_wrong_installs_nothing(tmp_path: Path) -> None:
    """The error comes before anything is touched or written."""
    before = pynvml.nvmlLib
    with pytest.raises(UnknownDriver), simulated.installed("1xA31", state=tmp_path / "state"):
        pass
    assert pynvml.nvmlLib is before
    assert list(tmp_path.iterdir()) == []


async def test_slow_calls_on_a_running_event_loop_are_refused(a100: simulated.Node) -> None:
    """A mistake that would stop the loop is told at once; questions and worker threads are fine."""
    device = program.gpu()
    with pytest.raises(RuntimeError, match="worker thread"):
        pynvml.nvmlDeviceCreateGpuInstance(device, 19)
    assert pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(device, 19) == 7
    made = await asyncio.to_thread(program.make, device, 19)
    with pytest.raises(RuntimeError, match="nvmlComputeInstanceDestroy"):
        program.unmake(made)
    await asyncio.to_thread(program.unmake, made)
    assert a100.mig_uuids == ()
