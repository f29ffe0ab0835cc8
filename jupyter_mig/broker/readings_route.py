"""The door's route for readings."""

from __future__ import annotations

from jupyter_mig.broker.routes import Route
from jupyter_mig.broker.service import Service
from jupyter_mig.metrics.readings import Memory, NotAvailable, Readings, SliceReadings
from jupyter_mig.metrics.sampler import Sampler
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.wire.messages import ReadingsView, SliceReadingsView


class ReadingsRoute(Route):
    """``/v1/readings``: what the slices are doing now."""

    sampler: Sampler

    def initialize(  # type: ignore[override]  # Tornado hands over what each route was made with
        self, service: Service, driver: HardwarePort, uid: int, sampler: Sampler
    ) -> None:
        """Tornado hands over what the route was made with. Called for each request."""
        super().initialize(service, driver, uid)
        self.sampler = sampler

    async def get(self) -> None:
        """All slices, at most a second old."""
        self.answer(await self.readings())

    async def readings(self) -> ReadingsView:
        """The pass that all who ask at about this time share."""
        readings, age_seconds = await self.sampler.readings(
            lambda: {
                place.instance_id: place.identity for place in self.service.state.instances.values()
            }
        )
        return _view(readings, age_seconds, simulated=self.driver.simulated)


def _view(readings: Readings, age_seconds: float, *, simulated: bool) -> ReadingsView:
    return ReadingsView(
        age_seconds=age_seconds,
        simulated=simulated,
        slices=tuple(_slice(one) for one in readings.slices),
    )


def _slice(readings: SliceReadings) -> SliceReadingsView:
    match readings.memory:
        case Memory(used_bytes=used, total_bytes=total):
            return SliceReadingsView(readings.instance_id, used, total)
        case NotAvailable(reason=reason):
            return SliceReadingsView(readings.instance_id, memory_not_available=reason)
