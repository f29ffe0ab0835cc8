from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import pynvml

from jupyter_mig.nvml import simulated
from tests.nvml.simulated import program


def test_versions_are_of_one_driver(a100: simulated.Node) -> None:
    """NVML's version is the driver's behind CUDA's major number."""
    driver = pynvml.nvmlSystemGetDriverVersion()
    cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
    assert pynvml.nvmlSystemGetNVMLVersion() == f"{cuda // 1000}.{driver}"


def test_processes_have_names(a100: simulated.Node) -> None:
    """A client's pid can be turned into its program; one that is gone is not found."""
    executable = str(Path(sys.executable).resolve())
    assert pynvml.nvmlSystemGetProcessName(os.getpid()) == executable
    assert program.code(pynvml.nvmlSystemGetProcessName, 2**22 + 1) == 6


def test_mixed_nodes_keep_the_order_of_the_description() -> None:
    """NVML numbers the GPUs as they were written down."""
    with program.running("1xA30,2xH200"):
        assert pynvml.nvmlDeviceGetCount() == 3
        names = [pynvml.nvmlDeviceGetName(program.gpu(index)) for index in range(3)]
        assert names == ["NVIDIA A30", "NVIDIA H200", "NVIDIA H200"]


def test_a_uuid_may_come_in_a_struct(a100: simulated.Node) -> None:
    """The newer look-up takes text; its binary form is not simulated."""
    by_struct = pynvml.nvmlDeviceGetHandleByUUIDV
    found = by_struct(a100.gpus[0].uuid, pynvml.NVML_UUID_TYPE_ASCII)
    assert pynvml.nvmlDeviceGetIndex(found) == 0
    assert program.code(by_struct, bytes(16), pynvml.NVML_UUID_TYPE_BINARY) == 3
    old = pynvml.c_nvmlUUID_t()
    old.version = 0
    into = ctypes.byref(pynvml.c_nvmlDevice_t())
    assert pynvml.nvmlLib.nvmlDeviceGetHandleByUUIDV(ctypes.byref(old), into) == 2


def test_a_bus_id_of_nothing_is_not_found(a100: simulated.Node) -> None:
    """And one that is no text an invalid argument."""
    assert program.code(pynvml.nvmlDeviceGetHandleByPciBusId, "0000:FF:00.0") == 6
    into = ctypes.byref(pynvml.c_nvmlDevice_t())
    assert pynvml.nvmlLib.nvmlDeviceGetHandleByUUID(None, into) == 2


def test_both_older_inits_count_too() -> None:
    """Programs that call the library themselves may use them."""
    with simulated.installed("1xA30", time_scale=0):
        assert pynvml.nvmlLib.nvmlInit() == 0
        assert pynvml.nvmlLib.nvmlInit_v2() == 0
        pynvml.nvmlShutdown()
        assert pynvml.nvmlDeviceGetCount() == 1
