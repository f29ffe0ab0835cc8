"""GPU performance metrics: how busy a GPU instance was between two samples, on Hopper and newer.

``sampling`` says what is measured here. Metrics but those two are not supported, one by one, as on
a board that does not have their counters.
"""

from __future__ import annotations

from typing import Any

import pynvml

from .arguments import PhysicalGpu, allotted_sample, device, fill, gpu, handle_out, pointer_to, uint
from .codes import Code, Returned
from .processes import Process
from .sampling import Sample, shown, taken
from .session import Session
from .silicon import Place
from .table import FunctionTable

GPM = FunctionTable()

_GPU = gpu(if_mig_device=Code.INVALID_ARGUMENT)
_FOLLOWING = frozenset({pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL, pynvml.NVML_GPM_METRIC_SM_UTIL})


@GPM.function(
    "nvmlGpmQueryDeviceSupport",
    device,
    pointer_to(pynvml.c_nvmlGpmSupport_t, pynvml.NVML_GPM_SUPPORT_VERSION),
)
def query_support(session: Session, of: PhysicalGpu | Place, into: Any) -> None:
    """Boards without the counters say so with success."""
    into.isSupportedDevice = session.machine.models[of.gpu].gpm


@GPM.function("nvmlGpmSampleAlloc", handle_out)
def sample_alloc(session: Session, into: Any) -> None:
    """An empty sample."""
    into.value = session.samples.add(Sample())


@GPM.function("nvmlGpmSampleFree", allotted_sample)
def sample_free(session: Session, sample: int) -> None:
    """A sample freed twice is an invalid argument."""
    session.samples.remove(sample)


@GPM.function("nvmlGpmSampleGet", device, allotted_sample)
def sample_get(session: Session, of: PhysicalGpu | Place, sample: int) -> None:
    """Of a whole GPU, or of the GPU instance that a MIG device is in."""
    now = session.machine.state()
    if isinstance(of, Place):
        on_it = shown(now, [of.instance])
    else:
        beside = [one.process for one in now.clients_on(of.gpu) if one.compute_serial is None]
        on_it = beside + shown(now, now.gpus[of.gpu].instances)
    _take(session, of.gpu, sample, on_it)


@GPM.function("nvmlGpmMigSampleGet", _GPU, uint, allotted_sample)
def mig_sample_get(session: Session, of: PhysicalGpu, instance_id: int, sample: int) -> None:
    """Of a GPU instance by id, which the next instance in its place will have again."""
    session.require_mig(of.gpu)
    now = session.machine.state()
    found = [one for one in now.gpus[of.gpu].instances if one.id == instance_id]
    if not found:
        raise Returned(Code.NOT_FOUND)
    _take(session, of.gpu, sample, shown(now, found))


@GPM.function(
    "nvmlGpmMetricsGet",
    pointer_to(pynvml.c_nvmlGpmMetricsGet_t, pynvml.NVML_GPM_METRICS_GET_VERSION),
)
def metrics_get(session: Session, into: Any) -> None:
    """Each metric has its own return code."""
    first, second = (
        session.samples.get(allotted_sample(session, one)) for one in (into.sample1, into.sample2)
    )
    if into.numMetrics > pynvml.NVML_GPM_METRIC_MAX or not (first.is_taken and second.is_taken):
        raise Returned(Code.INVALID_ARGUMENT)
    percent = first.busy_percent_until(second)
    for metric in into.metrics[: into.numMetrics]:
        if metric.metricId in _FOLLOWING:
            fill(metric, nvmlReturn=Code.SUCCESS, value=percent)
        else:
            known = 0 < metric.metricId < pynvml.NVML_GPM_METRIC_MAX
            metric.nvmlReturn = Code.NOT_SUPPORTED if known else Code.INVALID_ARGUMENT


def _take(session: Session, index: int, sample: int, on_it: list[Process]) -> None:
    if not session.machine.models[index].gpm:
        raise Returned(Code.NOT_SUPPORTED)
    session.samples.put(sample, taken(on_it))
