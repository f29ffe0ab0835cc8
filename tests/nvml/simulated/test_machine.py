from __future__ import annotations

import threading
from collections.abc import Iterator

import pynvml
import pytest

from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu, make


@pytest.mark.parametrize(
    ("model", "profile_id", "create", "destroy"),
    [
        ("A30", 14, 0.11, 0.10),
        ("A100-SXM4-40GB", 19, 0.16, 0.20),
        ("A100-SXM4-80GB", 0, 0.24, 0.22),
        ("H100 80GB HBM3", 9, 0.33, 0.25),
        ("H200", 14, 0.21, 0.23),
        ("RTX PRO 6000 Blackwell Server Edition", 0, 0.42, 0.26),
    ],
)
def test_a_slice_takes_the_published_time(
    monkeypatch: pytest.MonkeyPatch, model: str, profile_id: int, create: float, destroy: float
) -> None:
    """GPU instance and compute instance together take what was measured, scaled."""
    slept: list[float] = []
    monkeypatch.setattr("jupyter_mig.nvml.simulated.machine.time.sleep", slept.append)
    with program.running(f"1x{model}", time_scale=2):
        made = make(gpu(), profile_id)
        assert sum(slept) == pytest.approx(2 * create)
        slept.clear()
        program.unmake(made)
        assert sum(slept) == pytest.approx(2 * destroy)


def test_a_refusal_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver says no at once."""
    with program.running("1xA30", time_scale=1000):
        monkeypatch.setattr("jupyter_mig.nvml.simulated.machine.time.sleep", lambda _: None)
        made = make(gpu(), 0)
        monkeypatch.undo()
        assert code(pynvml.nvmlDeviceCreateGpuInstance, gpu(), 14) == 23
        assert code(pynvml.nvmlGpuInstanceDestroy, made.gpu_instance) == 19


class Gate:
    """Stands for the passing of time: every sleep waits here until it is opened."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.opened = threading.Event()

    def sleep(self, _seconds: float) -> None:
        """Say that an operation takes its time now, and let it."""
        self.arrived.release()
        assert self.opened.wait(30)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Operations on the node stop in the middle."""
    found = Gate()
    monkeypatch.setattr("jupyter_mig.nvml.simulated.machine.time.sleep", found.sleep)
    yield found
    found.opened.set()


def test_operations_on_one_gpu_follow_one_another(gate: Gate) -> None:
    """While one is under way, a second on that GPU waits, and one on another GPU does not."""
    with program.running("2xA30"):
        devices = [gpu(0), gpu(0), gpu(1)]
        threads = [
            threading.Thread(target=pynvml.nvmlDeviceCreateGpuInstance, args=(device, 14))
            for device in devices
        ]
        for thread in threads:
            thread.start()
        assert gate.arrived.acquire(timeout=30)
        assert gate.arrived.acquire(timeout=30)
        assert not gate.arrived.acquire(timeout=0.2)
        gate.opened.set()
        for thread in threads:
            thread.join()
        assert len(program.gpu_instances(gpu(0), 14)) == 2
        assert len(program.gpu_instances(gpu(1), 14)) == 1


def test_an_instance_under_way_is_not_seen_yet(gate: Gate) -> None:
    """It appears when it is finished, whole."""
    with program.running("1xA30") as node:
        thread = threading.Thread(target=pynvml.nvmlDeviceCreateGpuInstance, args=(gpu(), 14))
        thread.start()
        assert gate.arrived.acquire(timeout=30)
        assert node.gpus[0].instances == ()
        gate.opened.set()
        thread.join()
        assert len(node.gpus[0].instances) == 1


def test_what_happens_meanwhile_is_seen_at_the_end(gate: Gate) -> None:
    """A GPU lost while an instance is being made: the call ends with 15, nothing is made."""
    with program.running("1xA30") as node:
        codes: list[int] = []
        device = gpu()
        thread = threading.Thread(
            target=lambda: codes.append(code(pynvml.nvmlDeviceCreateGpuInstance, device, 14))
        )
        thread.start()
        assert gate.arrived.acquire(timeout=30)
        node.lose(0)
        gate.opened.set()
        thread.join()
        node.recover(0)
        assert codes == [15]
        assert node.gpus[0].instances == ()


def test_a_client_that_comes_meanwhile_keeps_the_instance(gate: Gate) -> None:
    """A destroy that lost the race ends with In Use."""
    gate.opened.set()
    with program.running("1xA30") as node:
        made = make(gpu(), 14)
        uuid = program.uuid(made)
        gate.opened.clear()
        while gate.arrived.acquire(blocking=False):
            pass
        codes: list[int] = []
        thread = threading.Thread(
            target=lambda: codes.append(
                code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance)
            )
        )
        thread.start()
        assert gate.arrived.acquire(timeout=30)
        node.cuda_client(uuid)
        gate.opened.set()
        thread.join()
        assert codes == [19]
        assert node.mig_uuids == (uuid,)


def test_of_two_destroys_at_once_one_finds_nothing_left(gate: Gate) -> None:
    """The second waited for the GPU; by then its handle means nothing."""
    gate.opened.set()
    with program.running("1xA30") as node:
        instance = pynvml.nvmlDeviceCreateGpuInstance(gpu(), 14)
        gate.opened.clear()
        assert gate.arrived.acquire(timeout=30)
        codes: list[int] = []

        def destroy() -> None:
            codes.append(code(pynvml.nvmlGpuInstanceDestroy, instance))

        threads = [threading.Thread(target=destroy) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert gate.arrived.acquire(timeout=30)
        gate.opened.set()
        for thread in threads:
            thread.join()
        assert sorted(codes) == [0, 2]
        assert node.gpus[0].instances == ()
