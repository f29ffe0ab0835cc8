from __future__ import annotations

import os
import subprocess
import sys

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu, make

MIB = 1 << 20


def test_a_fresh_slice_uses_a_few_mib(a100: simulated.Node) -> None:
    """9, 17 and 25 MiB on 1g, 2g and 3g, of the memory the profile has."""
    used = {}
    for profile_id, total in ((19, 4864), (14, 9856), (9, 19968)):
        made = make(gpu(), profile_id)
        memory = pynvml.nvmlDeviceGetMemoryInfo(program.mig_device(made))
        assert memory.total == total * MIB
        assert memory.free == memory.total - memory.used
        used[profile_id] = memory.used // MIB
        program.unmake(made)
    assert used == {19: 9, 14: 17, 9: 25}


def test_both_memory_structs_agree(a100: simulated.Node) -> None:
    """Version 1 counts as used what version 2 calls reserved."""
    make(gpu(), 19)
    old = pynvml.nvmlDeviceGetMemoryInfo(gpu())
    new = pynvml.nvmlDeviceGetMemoryInfo(gpu(), pynvml.nvmlMemory_v2)
    assert (new.total, new.reserved) == (40960 * MIB, (40960 - 40192) * MIB)
    assert (old.total, old.free) == (new.total, new.free)
    assert old.used == new.used + new.reserved == 777 * MIB


def test_clients_are_listed_with_their_instances(a100: simulated.Node) -> None:
    """On the slice only its own; on the GPU all, with the ids of where they are."""
    first, second = make(gpu(), 19), make(gpu(), 14)
    with a100.cuda_client(program.uuid(first), memory_bytes=100 * MIB):
        assert pynvml.nvmlDeviceGetComputeRunningProcesses(program.mig_device(second)) == []
        (on_slice,) = pynvml.nvmlDeviceGetComputeRunningProcesses(program.mig_device(first))
        (on_gpu,) = pynvml.nvmlDeviceGetComputeRunningProcesses(gpu())
        assert vars(on_slice) == vars(on_gpu)
        assert (on_gpu.pid, on_gpu.usedGpuMemory) == (os.getpid(), 100 * MIB)
        assert on_gpu.gpuInstanceId == program.instance_id(first.gpu_instance)
        assert on_gpu.computeInstanceId == 0
        memory = pynvml.nvmlDeviceGetMemoryInfo(program.mig_device(first))
        assert memory.used == 109 * MIB
    assert pynvml.nvmlDeviceGetComputeRunningProcesses(gpu()) == []


def test_a_client_beside_the_slices_is_on_no_instance() -> None:
    """Its ids are all ones."""
    with program.running("1xA30?mig=off") as node, node.cuda_client(node.gpus[0].uuid):
        (found,) = pynvml.nvmlDeviceGetComputeRunningProcesses(gpu())
        assert (found.gpuInstanceId, found.computeInstanceId) == (0xFFFFFFFF, 0xFFFFFFFF)


def test_a_killed_process_is_no_client_any_more(a100: simulated.Node) -> None:
    """As on silicon a context goes with its process, reaped or not."""
    made = make(gpu(), 19)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    a100.cuda_client(program.uuid(made), process.pid)
    assert code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance) == 19
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert a100.clients == ()
    assert code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance) == 0
    process.communicate()


def test_sums_over_the_gpu_need_monitor_in_mig_mode() -> None:
    """An ordinary user sees the memory and processes of slices, not of the whole GPU."""
    with program.running("1xA30", privileged=False) as node:
        slice_ = pynvml.nvmlDeviceGetHandleByUUID(node.create(0, "1g.6gb"))
        for call in (
            pynvml.nvmlDeviceGetMemoryInfo,
            pynvml.nvmlDeviceGetComputeRunningProcesses,
            pynvml.nvmlDeviceGetGraphicsRunningProcesses_v3,
        ):
            assert code(call, gpu()) == 4
            assert code(call, slice_) == 0
    with program.running("1xA30", privileged=False, monitor=True):
        assert code(pynvml.nvmlDeviceGetMemoryInfo, gpu()) == 0
        assert code(pynvml.nvmlDeviceCreateGpuInstance, gpu(), 14) == 4
    with program.running("1xA30?mig=off", privileged=False):
        assert code(pynvml.nvmlDeviceGetMemoryInfo, gpu()) == 0


def test_an_index_is_neither_minor_number_nor_bus() -> None:
    """Nobody may take one for the other, so they differ here."""
    with program.running("3xA30"):
        minors = [pynvml.nvmlDeviceGetMinorNumber(gpu(index)) for index in range(3)]
        assert minors == [1, 0, 2]
        assert [pynvml.nvmlDeviceGetIndex(gpu(index)) for index in range(3)] == [0, 1, 2]
        buses = [pynvml.nvmlDeviceGetPciInfo(gpu(index)).busId for index in range(3)]
        assert buses == ["00000000:07:00.0", "00000000:0F:00.0", "00000000:47:00.0"]
        by_bus = pynvml.nvmlDeviceGetHandleByPciBusId("0000:0f:00.0")
        assert pynvml.nvmlDeviceGetIndex(by_bus) == 1


def test_the_board_describes_itself() -> None:
    """What a monitor asks a GPU first."""
    with program.running("1xH100 80GB HBM3"):
        device = gpu()
        assert pynvml.nvmlDeviceGetName(device) == "NVIDIA H100 80GB HBM3"
        assert pynvml.nvmlDeviceGetCudaComputeCapability(device) == (9, 0)
        assert pynvml.nvmlDeviceGetArchitecture(device) == pynvml.NVML_DEVICE_ARCH_HOPPER
        assert pynvml.nvmlDeviceGetPciInfo(device).pciDeviceId == 0x233010DE
        assert 20 < pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU) < 60
        assert pynvml.nvmlDeviceGetPowerUsage(device) < pynvml.nvmlDeviceGetEnforcedPowerLimit(
            device
        )
        assert pynvml.nvmlDeviceGetBAR1MemoryInfo(device).bar1Total == 128 << 30


def test_utilization_is_to_be_had_without_mig() -> None:
    """With MIG off the rates are those of an idle board."""
    with program.running("1xA30?mig=off"):
        rates = pynvml.nvmlDeviceGetUtilizationRates(gpu())
        assert (rates.gpu, rates.memory) == (0, 0)


@pytest.mark.parametrize(("model", "resetless"), [("A100-SXM4-40GB", 0), ("H200", 1)])
def test_field_values_say_whether_mig_can_be_toggled_without_reset(
    model: str, resetless: int
) -> None:
    """Other fields are not supported one by one, as on a real board."""
    with program.running(f"1x{model}"):
        fields = [pynvml.NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED, pynvml.NVML_FI_DEV_ECC_CURRENT]
        known, other = pynvml.nvmlDeviceGetFieldValues(gpu(), fields)
        assert (known.nvmlReturn, known.value.uiVal) == (0, resetless)
        assert other.nvmlReturn == 3


def test_processes_that_draw_are_listed_apart() -> None:
    """Only ``+gfx`` instances take them; they block destroying as CUDA clients do."""
    with program.running("1xRTX PRO 6000 Blackwell Server Edition") as node:
        drawing, plain = node.create(0, "1g.24gb+gfx"), node.create(0, "1g.24gb")
        with pytest.raises(simulated.Returned, match="3 Not Supported"):
            node.graphics_client(plain)
        with node.graphics_client(drawing, memory_bytes=5 * MIB):
            for device in (gpu(), pynvml.nvmlDeviceGetHandleByUUID(drawing)):
                assert pynvml.nvmlDeviceGetComputeRunningProcesses(device) == []
                (found,) = pynvml.nvmlDeviceGetGraphicsRunningProcesses(device)
                assert (found.pid, found.usedGpuMemory) == (os.getpid(), 5 * MIB)
            beside = pynvml.nvmlDeviceGetHandleByUUID(plain)
            assert pynvml.nvmlDeviceGetGraphicsRunningProcesses(beside) == []
            with pytest.raises(simulated.Returned, match="19 In use"):
                node.destroy(drawing)
        node.destroy(drawing)
