"""The door's route for whoever has the key of one lease: its slice, and nothing else."""

from __future__ import annotations

from jupyter_mig import errors
from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.callers.peer import Peer
from jupyter_mig.broker.door.readings_route import ReadingsRoute
from jupyter_mig.broker.door.routes import Audience
from jupyter_mig.broker.gauges import Gauges
from jupyter_mig.broker.service import Service
from jupyter_mig.core.leases import Lease, LeaseState
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.wire.messages import ReadingsView, SliceNowView

_SCHEME = "Bearer "


class SliceRoute(ReadingsRoute):
    """``/v1/slice?lease=ID``, with the lease's key as bearer token; on TCP that is all it takes."""

    keys: Keys

    def initialize(  # type: ignore[override]  # Tornado hands over what each route was made with
        self, service: Service, driver: HardwarePort, audience: Audience, gauges: Gauges, keys: Keys
    ) -> None:
        """Tornado hands over what the route was made with. Called for each request."""
        super().initialize(service, driver, audience, gauges)
        self.keys = keys

    async def admitted(self) -> Peer:
        """Whoever has the key: a kernel in a container has no other identity."""
        return await self.audience.look(self.request, lambda: self._opened().owner)

    async def get(self) -> None:
        """The slice and what it is doing."""
        self._opened()
        readings = await self.readings()
        self.answer(self._view(self._opened(), readings))

    def _view(self, lease: Lease, readings: ReadingsView) -> SliceNowView:
        place = self.service.state.place_of(lease)
        slices = {one.instance_id: one for one in readings.slices}
        gpus = {one.gpu_uuid: one for one in readings.gpus}
        view = self.views().lease(lease)
        return SliceNowView(
            lease_id=lease.lease_id,
            state=lease.state.value,
            size=lease.size,
            slice=view.slice,
            readings=slices.get(place.instance_id) if place else None,
            gpu=gpus.get(place.spec.gpu_uuid) if place else None,
            simulated=readings.simulated,
            age_seconds=readings.age_seconds,
            points=self.gauges.history(lease.lease_id),
            rule=view.rule,
            ends_in_seconds=view.ends_in_seconds,
        )

    def _opened(self) -> Lease:
        """The lease whose key was shown.

        A wrong key and an unknown lease look the same. With the right one, a lease that we do not
        know is one that we have forgotten: keys are given for leases alone.
        """
        lease_id = self.get_query_argument("lease", "")
        token = self.request.headers.get("Authorization", "")
        if not self.keys.fits(lease_id, token.removeprefix(_SCHEME)):
            raise errors.UnknownLease(
                "There is no such lease, or this is not its key.",
                next_step="Start the kernel again: it is given the key of its lease.",
            )
        lease = self.service.find(lease_id)
        if lease is None or lease.state is LeaseState.RELEASED:
            raise errors.LeaseEnded(
                "The lease is over: its slice is no longer yours.",
                next_step="Start the kernel again to get a slice.",
            )
        return lease
