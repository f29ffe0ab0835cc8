"""One node in several processes, through its state file."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pynvml
import pytest

import jupyter_mig
from jupyter_mig.nvml import simulated
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu

ROOT = Path(jupyter_mig.__file__).parent.parent

PROGRAM = """
import sys
from pathlib import Path
from tests.nvml.simulated import program
with program.running(sys.argv[1], state=Path(sys.argv[2]), time_scale=float(sys.argv[3])) as node:
    {body}
"""


def started(body: str, state: Path, spec: str = "1xA30", scale: float = 0) -> subprocess.Popen[str]:
    """Another process with the same node, doing ``body``."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body), spec, str(state), str(scale)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def output_of(body: str, state: Path, spec: str = "1xA30") -> str:
    """What such a process prints."""
    process = started(body, state, spec)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output.strip()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something another process does."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        os.sched_yield()


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock file."""
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_two_processes_see_one_node(tmp_path: Path) -> None:
    """What one makes the other finds, with the same UUID, and can destroy."""
    state = tmp_path / "silicon.json"
    with program.running("1xA30", state=state) as node:
        uuid = output_of("print(program.uuid(program.make(program.gpu(), 14)))", state)
        assert node.mig_uuids == (uuid,)
        assert program.mig_devices(gpu()) == {0: uuid}
        (instance,) = program.gpu_instances(gpu(), 14)
        compute = pynvml.nvmlGpuInstanceGetComputeInstanceById(instance, 0)
        program.unmake(program.Slice(instance, compute))
        assert output_of("print(program.mig_devices(program.gpu()))", state) == "{}"


def test_the_hardware_outlives_the_process(tmp_path: Path) -> None:
    """The next process to open the file finds what the last one left."""
    state = tmp_path / "silicon.json"
    with program.running("1xA30", state=state) as node:
        uuid = node.create(0, "2g.12gb")
    with program.running("1xA30", state=state) as node:
        assert node.mig_uuids == (uuid,)


def test_clients_and_faults_can_be_set_from_outside(tmp_path: Path) -> None:
    """A test process attaches to the hardware of the program under test."""
    state = tmp_path / "silicon.json"
    with program.running("1xA30", state=state):
        made = program.make(gpu(), 14)
        with simulated.attached(state) as outside:
            context = outside.cuda_client(program.uuid(made))
            assert code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance) == 19
            context.release()
            outside.inject(simulated.in_use())
        pynvml.nvmlComputeInstanceDestroy(made.compute_instance)
        assert code(pynvml.nvmlGpuInstanceDestroy, made.gpu_instance) == 19
        assert code(pynvml.nvmlGpuInstanceDestroy, made.gpu_instance) == 0


def test_a_client_in_another_process_goes_with_it(tmp_path: Path) -> None:
    """SIGKILL frees the slice without anybody telling."""
    state = tmp_path / "silicon.json"
    with program.running("1xA30", state=state) as node:
        uuid = node.create(0, "1g.6gb")
        body = f"node.cuda_client({uuid!r}); print('on', flush=True); input()"
        process = started(body, state)
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        (found,) = pynvml.nvmlDeviceGetComputeRunningProcesses(
            pynvml.nvmlDeviceGetHandleByUUID(uuid)
        )
        assert found.pid == process.pid
        process.kill()
        process.communicate()
        node.destroy(uuid)


def test_a_create_that_is_killed_leaves_nothing_and_no_lock(tmp_path: Path) -> None:
    """SIGKILL in the middle of a create that takes minutes: the next one works at once."""
    state = tmp_path / "silicon.json"
    with program.running("1xA30", state=state) as node:
        process = started("program.make(program.gpu(), 14)", state, scale=1000)
        until(lambda: is_locked(tmp_path / "silicon.json.gpu0.lock"))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert node.gpus[0].instances == ()
        program.make(gpu(), 14)
        assert len(node.mig_uuids) == 1


def test_operations_of_two_processes_on_one_gpu_exclude_each_other(tmp_path: Path) -> None:
    """While one process makes an instance, another cannot on that GPU, and can on the next."""
    state = tmp_path / "silicon.json"
    with program.running("2xA30", state=state) as node:
        process = started("program.make(program.gpu(0), 14)", state, "2xA30", scale=1000)
        until(lambda: is_locked(tmp_path / "silicon.json.gpu0.lock"))
        program.make(gpu(1), 14)
        waiting = started("program.make(program.gpu(0), 14)", state, "2xA30")
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
        process.kill()
        process.communicate()
        assert waiting.wait(60) == 0
        waiting.communicate()
        assert [len(one.instances) for one in node.gpus] == [1, 1]


@pytest.mark.parametrize("changes", range(5, 45, 8))
def test_a_process_killed_anywhere_leaves_a_whole_state(tmp_path: Path, changes: int) -> None:
    """Killed between any two changes, the file reads, and the rules still hold."""
    state = tmp_path / "silicon.json"
    body = "while True: program.unmake(program.make(program.gpu(), 14))"
    with program.running("1xA30", state=state) as node:
        serial = serial_of(state)
        process = started(body, state)
        until(lambda: serial_of(state) >= serial + changes)
        process.kill()
        process.communicate()
        assert len(node.gpus[0].instances) <= 1
        for instance in node.gpus[0].instances:
            handle = pynvml.nvmlDeviceGetGpuInstanceById(gpu(), instance.id)
            if instance.compute_instances:
                compute = pynvml.nvmlGpuInstanceGetComputeInstanceById(handle, 0)
                pynvml.nvmlComputeInstanceDestroy(compute)
            pynvml.nvmlGpuInstanceDestroy(handle)
        assert pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(gpu(), 14) == 4


def serial_of(state: Path) -> int:
    """How many instances were made so far."""
    return int(msgspec.json.decode(state.read_bytes())["serial"])


def test_changes_made_within_one_clock_tick_are_all_seen(tmp_path: Path) -> None:
    """A reader never keeps an old state, however quickly files of one size follow each other."""
    state = tmp_path / "silicon.json"
    with program.running("1xA30", state=state), simulated.attached(state) as outside:
        device = gpu()
        for _ in range(200):
            for start in (0, 1):
                made = program.make(device, 14, start)
                assert [one.start for one in outside.gpus[0].instances] == [start]
                program.unmake(made)
            assert outside.mig_uuids == ()


def test_a_state_of_another_boot_is_void(tmp_path: Path) -> None:
    """Instances do not survive a reboot."""
    state = tmp_path / "silicon.json"
    with program.running("1xA30", state=state) as node:
        node.create(0, "1g.6gb")
    old = msgspec.json.decode(state.read_bytes())
    state.write_bytes(msgspec.json.encode({**old, "boot_id": "another"}))
    with program.running("1xA30", state=state) as node:
        assert node.mig_uuids == ()


def test_the_state_of_another_node_is_refused(tmp_path: Path) -> None:
    """The error names both nodes; the file is left alone."""
    state = tmp_path / "silicon.json"
    with program.running("1xA30", state=state) as node:
        node.create(0, "1g.6gb")
    with (
        pytest.raises(simulated.StateError, match=r"of A30 .*, not of H200"),
        simulated.installed("1xH200", state=state),
    ):
        pass
    with program.running("1xA30", state=state) as node:
        assert len(node.mig_uuids) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"models": 3}'])
def test_an_unreadable_state_is_told_and_left_alone(tmp_path: Path, text: str) -> None:
    """The error says what to do; nothing is overwritten."""
    state = tmp_path / "silicon.json"
    state.write_text(text)
    with (
        pytest.raises(simulated.StateError, match="remove it"),
        simulated.installed("1xA30", state=state),
    ):
        pass
    assert state.read_text() == text


def test_attaching_to_nothing_is_told(tmp_path: Path) -> None:
    """A test that looks too early learns so."""
    with pytest.raises(simulated.StateError, match="is not there"):
        simulated.attached(tmp_path / "silicon.json")
