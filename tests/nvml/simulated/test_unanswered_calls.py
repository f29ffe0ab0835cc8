from __future__ import annotations

from collections.abc import Callable

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from tests.nvml.simulated import program


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (pynvml.nvmlDeviceGetFanSpeed, ()),
        (pynvml.nvmlDeviceGetComputeMode, ()),
        (pynvml.nvmlDeviceGetEncoderUtilization, ()),
        (pynvml.nvmlDeviceGetClockInfo, (pynvml.NVML_CLOCK_SM,)),
        (pynvml.nvmlDeviceGetProcessUtilization, (0,)),
        (pynvml.nvmlDeviceGetSerial, ()),
    ],
)
def test_what_a_monitor_asks_in_vain_is_not_supported_rather_than_missing(
    a100: simulated.Node, call: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    """So it shows "n/a" instead of taking the driver for an old one; handles are checked first."""
    assert program.code(call, program.gpu(), *arguments) == 3
    assert program.code(call, None, *arguments) == 2
