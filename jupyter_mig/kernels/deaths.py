"""Starts that are Jupyter's own idea: a kernel that has died is started again, five times in a row,
before it is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from jupyter_mig.client import Client
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import ErrorBody

_TAKEN = ("revoked", "lifetime")
"""Ends of leases that an administrator or his rule wanted."""


class Deaths:
    """Those of one kernel, and the starts they lead to. ``reason``: why there is none any more."""

    def __init__(self) -> None:
        self.reason: ErrorBody | None = None
        self._died = False
        self._starts_by_itself = False

    def watch(self, manager: Any, given_up: Callable[[], None]) -> None:
        """From now on know of them; ``given_up`` is called after the last. Saying so again is
        harmless.
        """
        for callback, event in ((self._has_died, "restart"), (given_up, "dead")):
            manager.remove_restart_callback(callback, event)
            manager.add_restart_callback(callback, event)

    def _has_died(self) -> None:
        self._died = True

    def start(self) -> None:
        """The kernel is being started."""
        self._starts_by_itself, self._died = self._died, False

    async def require_not_taken(self, manager: Any, client: Client, lease_id: str) -> None:
        """A user whose slice was taken, by an administrator or his rule, may start his kernel
        again. Jupyter, which only sees that it died, would undo what was wanted: raises why, and
        has the kernel given up. (Jupyter would try for ever.)
        """
        if not self._starts_by_itself:
            return
        over = await client.lease(lease_id)
        if over.end_reason in _TAKEN and over.refusal is not None:
            self.reason = over.refusal
            _give_up(manager)
            raise codec.error_in(over.refusal)


def _give_up(manager: Any) -> None:
    restarter = getattr(manager, "_restarter", None)
    if restarter is not None:
        manager.stop_restarter()
        # It is what starts the kernel just now, and must be done with that first.
        asyncio.get_running_loop().call_soon(restarter._fire_callbacks, "dead")  # noqa: SLF001
