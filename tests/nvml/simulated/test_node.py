from __future__ import annotations

import os
import subprocess
import sys

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated.processes import resident_bytes_of_tree
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu, make

MIB = 1 << 20
HOLD = "block = b'x' * {size}; print('ready', flush=True); input()"


def test_an_admins_slice_is_there_for_every_program(a100: simulated.Node) -> None:
    """What is made behind a broker's back is seen through NVML, and the reverse."""
    uuid = a100.create(0, "2g.10gb", 2)
    assert program.mig_devices(gpu()) == {0: uuid}
    made = make(gpu(), 19)
    assert a100.mig_uuids == (uuid, program.uuid(made))
    a100.destroy(program.uuid(made))
    assert code(pynvml.nvmlGpuInstanceGetInfo, made.gpu_instance) == 2


def test_the_truth_about_an_instance(a100: simulated.Node) -> None:
    """The node tells what a program may not be allowed to know."""
    uuid = a100.create(0, "3g.20gb")
    (instance,) = a100.gpus[0].instances
    assert (instance.profile, instance.id, instance.start, instance.size) == ("3g.20gb", 2, 4, 4)
    (compute,) = instance.compute_instances
    assert (compute.id, compute.start, compute.size, compute.index) == (0, 0, 3, 0)
    assert compute.mig_uuid == uuid


def test_the_node_refuses_what_the_hardware_refuses(a100: simulated.Node) -> None:
    """An admin's hand does not break the rules either."""
    uuid = a100.create(0, "7g.40gb")
    with pytest.raises(simulated.Returned, match="23 Insufficient Resources"):
        a100.create(0, "1g.5gb")
    with a100.cuda_client(uuid), pytest.raises(simulated.Returned, match="19 In use"):
        a100.destroy(uuid)
    with pytest.raises(simulated.Returned, match="19 In use"):
        a100.set_mig_mode(0, on=False)
    a100.destroy(uuid)
    a100.set_mig_mode(0, on=False)
    assert not a100.gpus[0].mig_mode
    with pytest.raises(simulated.Returned, match="3 Not Supported"):
        a100.create(0, "1g.5gb")


def test_unknown_devices_and_processes_are_told(a100: simulated.Node) -> None:
    """A mistake in a test is answered with what there is."""
    uuid = a100.create(0, "1g.5gb")
    with pytest.raises(simulated.NoSuchDevice, match=uuid):
        a100.cuda_client("MIG-nothing")
    with pytest.raises(ProcessLookupError, match="no process"):
        a100.cuda_client(uuid, 2**22 + 1)


def test_an_idle_process_blocks_nothing_until_it_becomes_a_client(a100: simulated.Node) -> None:
    """Only the explicit act makes a CUDA client; releasing twice is harmless."""
    made = make(gpu(), 19)
    context = a100.cuda_client(program.uuid(made))
    assert a100.clients == (os.getpid(),)
    assert code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance) == 19
    context.release()
    context.release()
    assert code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance) == 0


def hold(size: int, *, within: bool = False) -> subprocess.Popen[str]:
    """A process that holds so many bytes, itself or (``within``) in a child."""
    script = HOLD.format(size=size)
    if within:
        script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {script!r}])"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("within", [False, True], ids=["itself", "in a child"])
def test_a_mirrored_slice_shows_the_memory_of_a_process_tree(
    a100: simulated.Node, within: bool
) -> None:
    """Resident memory of process and children on top of the idle few MiB; nothing is blocked."""
    made = make(gpu(), 19)
    device = program.mig_device(made)
    process = hold(64 * MIB, within=within)
    a100.mirror(program.uuid(made), process.pid)
    used = pynvml.nvmlDeviceGetMemoryInfo(device).used
    assert used == 9 * MIB + resident_bytes_of_tree(process.pid)
    assert used > 73 * MIB
    assert pynvml.nvmlDeviceGetComputeRunningProcesses(device) == []
    process.communicate("\n")
    assert pynvml.nvmlDeviceGetMemoryInfo(device).used == 9 * MIB
    program.unmake(made)


def test_a_mirror_is_no_larger_than_the_slice(
    a100: simulated.Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may hold more than the slice has; the gauge stops at full."""
    monkeypatch.setattr(
        "jupyter_mig.nvml.simulated.memory.resident_bytes_of_tree", lambda _pid: 1 << 60
    )
    made = make(gpu(), 19)
    a100.mirror(program.uuid(made), os.getpid())
    memory = pynvml.nvmlDeviceGetMemoryInfo(program.mig_device(made))
    assert (memory.free, memory.used) == (0, memory.total)


def test_a_mirror_does_not_pass_to_the_next_tenant(a100: simulated.Node) -> None:
    """The same UUID made again shows an empty slice."""
    made = make(gpu(), 19)
    a100.mirror(program.uuid(made), os.getpid())
    program.unmake(made)
    again = make(gpu(), 19)
    assert pynvml.nvmlDeviceGetMemoryInfo(program.mig_device(again)).used == 9 * MIB
