"""GPU performance metrics (GPM): how busy a GPU, or a GPU instance, was between two samples.

Calls with types, as in :mod:`jupyter_mig.nvml.raw`. Hopper and newer have the counters. Compute
instances are not told apart: a sample is of the whole GPU instance.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NewType

import pynvml

from jupyter_mig import errors
from jupyter_mig.nvml.facts import Device
from jupyter_mig.nvml.raw import call
from jupyter_mig.nvml.translation import FUNCTION_NOT_FOUND

Sample = NewType("Sample", object)
"""Memory of NVML's with the counters at one moment; to be freed before the session ends."""

METRICS = {
    "sm": pynvml.NVML_GPM_METRIC_SM_UTIL,
    "graphics": pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL,
    "tensor": pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL,
    "dram": pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL,
}
"""What is read, in per cent."""


def supported(gpu: Device) -> bool:
    """Whether the GPU has the counters, and the driver can read them. Those without say so with
    success.
    """
    try:
        return bool(call("nvmlGpmQueryDeviceSupport", gpu).isSupportedDevice)
    except errors.DriverError as error:
        if error.code == FUNCTION_NOT_FOUND:  # a driver from before Hopper
            return False
        raise


def sample(gpu: Device, gi_id: int | None) -> Sample:
    """The counters of a GPU instance, or of the whole GPU, as they are now."""
    allotted = Sample(call("nvmlGpmSampleAlloc"))
    try:
        if gi_id is None:
            call("nvmlGpmSampleGet", gpu, allotted)
        else:
            call("nvmlGpmMigSampleGet", gpu, gi_id, allotted)
    except errors.DriverError:
        free(allotted)
        raise
    return allotted


def free(kept: Sample) -> None:
    """Give NVML its memory back. Without a driver there is nobody to give it to."""
    with suppress(errors.DriverError):
        call("nvmlGpmSampleFree", kept)


def percent_between(earlier: Sample, later: Sample) -> dict[str, float]:
    """The metrics in per cent, by the names in :data:`METRICS`; those that this GPU lacks are left
    out: each has a return code of its own.
    """
    asked = pynvml.c_nvmlGpmMetricsGet_t()
    asked.version = pynvml.NVML_GPM_METRICS_GET_VERSION
    asked.numMetrics = len(METRICS)
    asked.sample1, asked.sample2 = earlier, later
    for metric, number in zip(asked.metrics, METRICS.values(), strict=False):
        metric.metricId = number
    call("nvmlGpmMetricsGet", asked)
    return {
        name: float(metric.value)
        for name, metric in zip(METRICS, asked.metrics, strict=False)
        if metric.nvmlReturn == pynvml.NVML_SUCCESS
    }
