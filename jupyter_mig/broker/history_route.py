"""The door's route for the last minutes."""

from __future__ import annotations

from jupyter_mig.broker.routes import Route
from jupyter_mig.wire.messages import HistoryView, LeaseHistoryView


class HistoryRoute(Route):
    """``/v1/history``: what the asker's slices did in the last minutes."""

    def get(self) -> None:
        """The asker's own leases; no points are kept yet."""
        mine = self.views().leases()
        self.answer(HistoryView(5.0, tuple(LeaseHistoryView(one.lease_id) for one in mine)))
