"""What the sampler asks of a driver. All of it blocks, and may raise any DriverError."""

from __future__ import annotations

from typing import Protocol

from jupyter_mig.core.geometry import Identity


class Meter(Protocol):
    """The part of the hardware port that reads."""

    def memory(self, identity: Identity) -> tuple[int, int]:
        """Bytes used and bytes in all of the instance."""

    def occupants(self, gpu_uuid: str, identity: Identity) -> tuple[int, ...]:
        """The pids on the instance."""

    def keep_counters(self, gpu_uuid: str, identity: Identity) -> int:
        """Keep the instance's performance counters; NotSupported where there are none."""

    def percent_between(self, gpu_uuid: str, earlier: int, later: int) -> dict[str, float]:
        """How busy the instance was between two kept counters."""

    def forget_counters(self, gpu_uuid: str, number: int) -> None:
        """Keep those counters no longer."""

    def busy_percent(self, gpu_uuid: str) -> float:
        """The part of the last period in which something ran; NotSupported in MIG mode."""

    def power_watts(self, gpu_uuid: str) -> float:
        """What the GPU's board draws."""

    def temperature_celsius(self, gpu_uuid: str) -> float:
        """The temperature of the GPU."""
