"""The door's route for readings."""

from __future__ import annotations

from jupyter_mig.broker.door.routes import Audience, Route
from jupyter_mig.broker.gauges import Gauges
from jupyter_mig.broker.service import Service
from jupyter_mig.metrics.readings import (
    GpuReadings,
    Memory,
    NotAvailable,
    SliceReadings,
    Utilization,
)
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.wire.messages import GpuReadingsView, ReadingsView, SliceReadingsView


class ReadingsRoute(Route):
    """``/v1/readings``: what the slices are doing now."""

    gauges: Gauges

    def initialize(  # type: ignore[override]  # Tornado hands over what each route was made with
        self, service: Service, driver: HardwarePort, audience: Audience, gauges: Gauges
    ) -> None:
        """Tornado hands over what the route was made with. Called for each request."""
        super().initialize(service, driver, audience)
        self.gauges = gauges

    async def get(self) -> None:
        """All slices, at most a second old."""
        self.answer(await self.readings())

    async def readings(self) -> ReadingsView:
        """What was read of all slices and GPUs."""
        readings, age_seconds = await self.gauges.readings()
        return ReadingsView(
            age_seconds=age_seconds,
            simulated=self.driver.simulated,
            slices=tuple(_slice(one) for one in readings.slices),
            gpus=tuple(_gpu(one) for one in readings.gpus),
        )


def _slice(readings: SliceReadings) -> SliceReadingsView:
    memory, utilization, processes = readings.memory, readings.utilization, readings.processes
    used, total = (
        (memory.used_bytes, memory.total_bytes) if isinstance(memory, Memory) else (None, None)
    )
    return SliceReadingsView(
        instance_id=readings.instance_id,
        memory_used_bytes=used,
        memory_total_bytes=total,
        memory_not_available=_reason(memory),
        utilization=utilization.percent if isinstance(utilization, Utilization) else {},
        utilization_source=utilization.source if isinstance(utilization, Utilization) else "",
        utilization_not_available=_reason(utilization),
        processes=processes if isinstance(processes, int) else None,
        processes_not_available=_reason(processes),
    )


def _gpu(readings: GpuReadings) -> GpuReadingsView:
    power, temperature = readings.power_watts, readings.temperature_celsius
    reasons = {"power": _reason(power), "temperature": _reason(temperature)}
    return GpuReadingsView(
        gpu_uuid=readings.gpu_uuid,
        power_watts=None if isinstance(power, NotAvailable) else power,
        temperature_celsius=None if isinstance(temperature, NotAvailable) else temperature,
        not_available="; ".join(f"{what}: {why}" for what, why in reasons.items() if why),
    )


def _reason(reading: object) -> str:
    """Why there is no value; empty if there is one."""
    return reading.reason if isinstance(reading, NotAvailable) else ""
