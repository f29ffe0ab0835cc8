"""Functions the real library has and this one does not simulate: they say Not Supported.

Without them a monitor would take the library for a very old one. Handles are still checked.
"""

from __future__ import annotations

from .arguments import anything, device
from .codes import Code, Returned
from .session import Session
from .table import FunctionTable

UNANSWERED = FunctionTable()

_BY_FURTHER_ARGUMENTS = {
    1: (
        "nvmlDeviceGetComputeMode",
        "nvmlDeviceGetConfComputeMemSizeInfo",
        "nvmlDeviceGetDisplayActive",
        "nvmlDeviceGetDisplayMode",
        "nvmlDeviceGetFanSpeed",
        "nvmlDeviceGetPerformanceState",
        "nvmlDeviceGetPersistenceMode",
        "nvmlDeviceGetProcessesUtilizationInfo",
        "nvmlDeviceGetRunningProcessDetailList",
    ),
    2: (
        "nvmlDeviceGetClockInfo",
        "nvmlDeviceGetDecoderUtilization",
        "nvmlDeviceGetDriverModel_v2",
        "nvmlDeviceGetEncoderUtilization",
        "nvmlDeviceGetMaxClockInfo",
        "nvmlDeviceGetPcieThroughput",
        "nvmlDeviceGetSerial",
    ),
    3: ("nvmlDeviceGetProcessUtilization", "nvmlDeviceGetTotalEccErrors"),
}


def not_supported(_session: Session, *_arguments: object) -> None:
    """The one answer."""
    raise Returned(Code.NOT_SUPPORTED)


for _count, _names in _BY_FURTHER_ARGUMENTS.items():
    for _name in _names:
        UNANSWERED.function(_name, device, *[anything] * _count)(not_supported)
