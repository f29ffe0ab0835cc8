"""The slices' gauges: the broker's one sampler, and what it is to read."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from jupyter_mig.broker.service import Service
from jupyter_mig.core.leases import Lease
from jupyter_mig.core.state import Place, PlaceState
from jupyter_mig.metrics.exporter import Exporter
from jupyter_mig.metrics.history import STEP_SECONDS, Point
from jupyter_mig.metrics.readings import Readings
from jupyter_mig.metrics.sampler import Sampler
from jupyter_mig.metrics.subjects import Slice, Subjects
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.wire.messages import HistoryPoint

log = logging.getLogger(__name__)


class Gauges:
    """What the slices do, for all routes that tell it.

    While a lease is held they are read now and then even if nobody looks: a sparkline that begins
    when the panel is opened tells nothing of what led there.
    """

    def __init__(self, service: Service, driver: HardwarePort) -> None:
        self._service = service
        address = service.settings.dcgm_exporter
        self._sampler = Sampler(driver, Exporter(address) if address else None)
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read now and then, if the settings say so. On the service's loop."""
        if self._service.settings.keep_reading > 0:
            self._keeping = asyncio.create_task(self._keep_reading())

    async def stop(self) -> None:
        """Read no more."""
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping

    async def readings(self) -> tuple[Readings, float]:
        """What was read of all slices, and its age in seconds: at most one."""
        return await self._sampler.readings(self._subjects)

    def history(self, lease_id: str) -> tuple[HistoryPoint, ...]:
        """The last minutes of a lease since it was granted, the oldest point first."""
        return tuple(_point(one, age) for one, age in self._sampler.history(lease_id))

    async def _keep_reading(self) -> None:
        seconds = self._service.settings.keep_reading
        while True:
            await asyncio.sleep(seconds)
            if not any(
                place.state is PlaceState.HELD for place in self._service.state.instances.values()
            ):
                continue
            try:
                # Whoever looks meanwhile has had the readings taken: then this takes none.
                await self._sampler.readings(self._subjects, max(seconds, STEP_SECONDS))
            except Exception:
                # A bug in what is only looked at must not end what holds the slices.
                log.exception("The slices could not be read")

    def _subjects(self) -> Subjects:
        state, now = self._service.state, self._service.clock()
        return Subjects(
            tuple(_slice(place, state.lease_of(place), now) for place in state.instances.values()),
            tuple(state.gpus),
        )


def _slice(place: Place, lease: Lease | None, now: float) -> Slice:
    """An instance as the sampler knows it; it has a tenant from the grant on."""
    tenant = lease if lease is not None and lease.granted_at is not None else None
    since = place.since if tenant is None or tenant.granted_at is None else tenant.granted_at
    return Slice(
        place.instance_id,
        place.spec.gpu_uuid,
        place.identity,
        tenant.lease_id if tenant is not None else None,
        max(now - since, 0.0),
    )


def _point(point: Point, age_seconds: float) -> HistoryPoint:
    return HistoryPoint(age_seconds, point.memory_used_bytes, point.utilization_percent)
