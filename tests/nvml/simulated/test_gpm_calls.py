"""Utilization of GPU instances, where the board counts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated.processes import observe
from jupyter_mig.nvml.simulated.sampling import Sample
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu, make

GRAPHICS, SM, OCCUPANCY = 1, 2, 3
ME = observe(os.getpid())


@pytest.fixture
def h100() -> Iterator[simulated.Node]:
    """One H100, seen with privileges."""
    with program.running("1xH100 80GB HBM3") as node:
        yield node


def metrics(first: Any, second: Any, *ids: int) -> list[tuple[int, float]]:
    """Return code and value of each metric."""
    asked = pynvml.c_nvmlGpmMetricsGet_t()
    asked.version, asked.numMetrics = pynvml.NVML_GPM_METRICS_GET_VERSION, len(ids)
    asked.sample1, asked.sample2 = first, second
    for metric, number in zip(asked.metrics, ids, strict=False):
        metric.metricId = number
    pynvml.nvmlGpmMetricsGet(asked)
    return [(one.nvmlReturn, one.value) for one in asked.metrics[: len(ids)]]


@pytest.mark.parametrize(
    ("model", "supported"), [("A100-SXM4-40GB", 0), ("H100 PCIe", 1), ("B200", 1)]
)
def test_hopper_and_newer_count(model: str, supported: int) -> None:
    """Ampere says no with success, and refuses samples."""
    with program.running(f"1x{model}"):
        assert pynvml.nvmlGpmQueryDeviceSupport(gpu()).isSupportedDevice == supported
        sample = pynvml.nvmlGpmSampleAlloc()
        assert code(pynvml.nvmlGpmSampleGet, gpu(), sample) == (0 if supported else 3)


def test_a_busy_process_makes_its_instance_busy_and_no_other(h100: simulated.Node) -> None:
    """By GPU instance id, by MIG device and for the whole GPU; an idle neighbour stays at 0."""
    busy, idle = make(gpu(), 19), make(gpu(), 9)
    worker = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    h100.mirror(program.uuid(busy), worker.pid)
    pairs = [[pynvml.nvmlGpmSampleAlloc() for _ in range(2)] for _ in range(4)]
    for moment in range(2):
        for pair, made in zip(pairs, (busy, idle), strict=False):
            pynvml.nvmlGpmMigSampleGet(gpu(), program.instance_id(made.gpu_instance), pair[moment])
        pynvml.nvmlGpmSampleGet(program.mig_device(busy), pairs[2][moment])
        pynvml.nvmlGpmSampleGet(gpu(), pairs[3][moment])
        if moment == 0:
            until_it_worked(worker.pid)
    worker.kill()
    worker.wait()
    on_busy, on_idle, by_device, on_gpu = (
        metrics(*pair, GRAPHICS, SM, OCCUPANCY) for pair in pairs
    )
    for found in (on_busy, by_device, on_gpu):
        assert [number for number, _ in found] == [0, 0, 3]
        assert 0 < found[0][1] == found[1][1] <= 100
    assert on_idle == [(0, 0.0), (0, 0.0), (3, 0.0)]


def until_it_worked(pid: int) -> None:
    """Wait until a process has used a tenth of a second of processor time more."""
    used = simulated.processes.processor_seconds_of_tree
    begin = used(pid)
    while used(pid) < begin + 0.1:
        os.sched_yield()


@pytest.mark.parametrize(
    ("first", "second", "percent"),
    [
        (Sample(10, {ME: 1.0}), Sample(12, {ME: 2.0}), 50),
        (Sample(10, {ME: 1.0}), Sample(12, {ME: 9.0}), 100),
        (Sample(10, {ME: 1.0}), Sample(10, {ME: 9.0}), 0),
        (Sample(10, {ME: 1.0}), Sample(12, {ME: 0.5}), 0),
        (Sample(10, {}), Sample(12, {ME: 9.0}), 0),
        (Sample(10, {ME: 1.0}), Sample(12, {}), 0),
    ],
)
def test_utilization_is_the_share_of_one_processor(
    first: Sample, second: Sample, percent: float
) -> None:
    """Of processes that were there at both samples; never below 0 or above 100."""
    assert first.busy_percent_until(second) == percent


def test_what_is_asked_wrongly_is_refused(h100: simulated.Node) -> None:
    """Empty and freed samples, unknown instances, numbers that are no metric."""
    first, second = pynvml.nvmlGpmSampleAlloc(), pynvml.nvmlGpmSampleAlloc()
    assert code(metrics, first, second, GRAPHICS) == 2
    assert code(pynvml.nvmlGpmMigSampleGet, gpu(), 7, first) == 6
    assert code(pynvml.nvmlGpmMigSampleGet, program.mig_device(make(gpu(), 19)), 7, first) == 2
    pynvml.nvmlGpmSampleGet(gpu(), first)
    pynvml.nvmlGpmSampleGet(gpu(), second)
    assert metrics(first, second, 0, pynvml.NVML_GPM_METRIC_MAX) == [(2, 0.0), (2, 0.0)]
    pynvml.nvmlGpmSampleFree(second)
    assert code(metrics, first, second, GRAPHICS) == 2
    assert code(pynvml.nvmlGpmSampleFree, second) == 2


def test_samples_go_with_the_last_shutdown(h100: simulated.Node) -> None:
    """As all handles do."""
    sample = pynvml.nvmlGpmSampleAlloc()
    pynvml.nvmlShutdown()
    pynvml.nvmlInit()
    assert code(pynvml.nvmlGpmSampleFree, sample) == 2


def test_with_mig_off_there_are_no_instances_to_sample() -> None:
    """The whole GPU is sampled, with the processes on it."""
    with program.running("1xH200?mig=off") as node, node.cuda_client(node.gpus[0].uuid):
        first, second = pynvml.nvmlGpmSampleAlloc(), pynvml.nvmlGpmSampleAlloc()
        assert code(pynvml.nvmlGpmMigSampleGet, gpu(), 0, first) == 3
        pynvml.nvmlGpmSampleGet(gpu(), first)
        until_it_worked(os.getpid())
        pynvml.nvmlGpmSampleGet(gpu(), second)
        ((number, percent),) = metrics(first, second, SM)
        assert number == 0
        assert percent > 0
