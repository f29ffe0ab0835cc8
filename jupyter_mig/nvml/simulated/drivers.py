"""Driver versions that can be simulated: what they call themselves and which functions they lack.

Memory and names of profiles differ too; those are in the table of models.
"""

from __future__ import annotations

import msgspec


class DriverVersion(msgspec.Struct, frozen=True):
    """One version of the driver and of the library that comes with it."""

    version: str
    cuda_version: int
    """1000 * major + 10 * minor."""
    lacks: frozenset[str] = frozenset()
    """Functions that this library does not have and the newest has."""

    @property
    def branch(self) -> int:
        """The number before the first dot."""
        return int(self.version.partition(".")[0])

    @property
    def nvml_version(self) -> str:
        """CUDA's major version before the driver's."""
        return f"{self.cuda_version // 1000}.{self.version}"


_SINCE_575 = frozenset(
    {
        "nvmlDeviceGetGpuInstanceProfileInfoByIdV",
        "nvmlDeviceGetHandleByUUIDV",
        "nvmlDeviceGetProcessesUtilizationInfo",
    }
)
"""Seen missing in 535.309.01 and present in 590.48.01; where between they came is not known."""

DRIVERS = {
    "535": DriverVersion("535.309.01", 12020, _SINCE_575),
    "575": DriverVersion("575.57.08", 12090),
    "590": DriverVersion("590.48.01", 13010),
}

NEWEST = "590"
