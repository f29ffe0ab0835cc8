"""The door's route for the last minutes."""

from __future__ import annotations

from jupyter_mig.broker.door.routes import VIEWS_A_MILLISECOND, Audience, Route
from jupyter_mig.broker.gauges import Gauges
from jupyter_mig.broker.service import Service
from jupyter_mig.metrics.history import STEP_SECONDS
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.wire.messages import HistoryView, LeaseHistoryView

_CURVES_A_MILLISECOND = 8


class HistoryRoute(Route):
    """``/v1/history``: what the asker's slices did in the last minutes."""

    gauges: Gauges

    def initialize(  # type: ignore[override]  # Tornado hands over what each route was made with
        self, service: Service, driver: HardwarePort, audience: Audience, gauges: Gauges
    ) -> None:
        """Tornado hands over what the route was made with. Called for each request."""
        super().initialize(service, driver, audience)
        self.gauges = gauges

    async def get(self) -> None:
        """The asker's own leases, those without a point yet as well."""
        mine = [one for one in self.service.state.leases.values() if one.owner == self.peer.uid]
        held = sum(one.instance_id is not None for one in mine)
        cost = len(mine) // VIEWS_A_MILLISECOND + held // _CURVES_A_MILLISECOND
        await self.audience.work(self.peer.uid, cost)
        leases = tuple(
            LeaseHistoryView(one.lease_id, self.gauges.history(one.lease_id))
            for one in self.views().leases()
        )
        self.answer(HistoryView(STEP_SECONDS, leases))
