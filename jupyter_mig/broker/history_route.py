"""The door's route for the last minutes."""

from __future__ import annotations

from jupyter_mig.broker.gauges import Gauges
from jupyter_mig.broker.routes import Audience, Route
from jupyter_mig.broker.service import Service
from jupyter_mig.metrics.history import STEP_SECONDS
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.wire.messages import HistoryView, LeaseHistoryView


class HistoryRoute(Route):
    """``/v1/history``: what the asker's slices did in the last minutes."""

    gauges: Gauges

    def initialize(  # type: ignore[override]  # Tornado hands over what each route was made with
        self, service: Service, driver: HardwarePort, audience: Audience, gauges: Gauges
    ) -> None:
        """Tornado hands over what the route was made with. Called for each request."""
        super().initialize(service, driver, audience)
        self.gauges = gauges

    def get(self) -> None:
        """The asker's own leases, those without a point yet as well."""
        leases = tuple(
            LeaseHistoryView(one.lease_id, self.gauges.history(one.lease_id))
            for one in self.views().leases()
        )
        self.answer(HistoryView(STEP_SECONDS, leases))
