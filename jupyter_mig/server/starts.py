"""Kernels that wait for a slice, and how a wait is called off."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from jupyter_core.utils import ensure_async
from tornado.ioloop import PeriodicCallback
from traitlets import Float
from traitlets.config import LoggingConfigurable

from jupyter_mig.client import Client
from jupyter_mig.errors import JupyterMigError, Refused, UnknownLease
from jupyter_mig.kernels.provisioner import MIGProvisioner
from jupyter_mig.wire.messages import LeaseView

LINGER_SECONDS = 10.0
"""A start that failed stays listed as dead for this long: front ends read the reason there."""


class MIGStarts(LoggingConfigurable):
    """The server's waiting starts. Those ``changing`` take the place of a kernel of another size,
    which comes back if they fail; so one that is called off is to fail.
    """

    abandoned_seconds = Float(
        60.0,
        help="""
        How long a kernel goes on waiting for a slice after the last browser tab that showed it
        has gone, in seconds; 0: as long as its patience lasts. Kernels that no front end ever
        connected to (started by scripts) wait as long as their patience lasts.
        """,
    ).tag(config=True)

    watch_seconds = Float(
        5.0,
        help="""
        How often to look for waits that nobody watches and for starts that failed, in seconds.
        """,
    ).tag(config=True)

    parent: Any

    def __init__(self, client: Client, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.client = client
        self.changing: set[str] = set()
        self._seen: dict[str, float] = {}
        self._failed: dict[str, float] = {}

    async def cancel(self, kernel_id: str) -> LeaseView:
        """Call off the wait of that kernel's start.

        Raises :class:`UnknownLease` if nothing waits for it, :class:`Refused` if it has its slice.
        """
        lease = await self._lease(kernel_id)
        if lease.state not in ("waiting", "creating", "doomed"):
            raise Refused(
                "This kernel does not wait: it has its slice.",
                next_step="Shut the kernel down to free the slice.",
            )
        if kernel_id not in self.changing:
            await self._stop(kernel_id)
        return await self.client.release(lease.lease_id)

    async def _stop(self, kernel_id: str) -> None:
        """Give the start up as if its notebook had been closed. Were the request alone taken back,
        the start would fail, and JupyterLab tell in a dialog what its user has just done.
        """
        if kernel_id in self.parent.kernel_manager:  # not without pending kernels
            await ensure_async(self.parent.kernel_manager.shutdown_kernel(kernel_id))

    async def _lease(self, kernel_id: str) -> LeaseView:
        for lease in await self.client.leases():
            if lease.kernel_id == kernel_id:
                return lease
        raise UnknownLease("No kernel of that id waits for a slice or holds one.")

    def watch(self) -> None:
        """From now on call off waits whose tabs are gone, and clear away starts that failed."""
        PeriodicCallback(self._look, self.watch_seconds * 1000).start()

    async def _look(self) -> None:
        now = time.monotonic()
        for kernel_id in self._abandoned(self._waiting(), self._connected(), now):
            self.log.info("Nobody looks at kernel %s any more: its wait is called off.", kernel_id)
            try:
                await self.cancel(kernel_id)
            except JupyterMigError as error:
                self.log.warning("Could not call it off: %s", error.message)
        for kernel_id in self._stale(self._refused(), now):
            await self._stop(kernel_id)

    def _stale(self, failed: Iterable[str], now: float) -> list[str]:
        """Starts that failed long enough ago. Jupyter would list them until somebody acts."""
        self._failed = {each: self._failed.get(each, now) for each in failed}
        return [each for each, since in self._failed.items() if now - since > LINGER_SECONDS]

    def _abandoned(self, waiting: Iterable[str], connected: Iterable[str], now: float) -> list[str]:
        """The kernels that wait, were connected to once, and have not been for too long."""
        waiting, connected = set(waiting), set(connected)
        self._seen |= dict.fromkeys(waiting & connected, now)
        self._seen = {each: seen for each, seen in self._seen.items() if each in waiting}
        if self.abandoned_seconds <= 0:
            return []
        return [each for each, seen in self._seen.items() if now - seen > self.abandoned_seconds]

    def _waiting(self) -> list[str]:
        return [each for each, kernel in self._sized() if kernel.provisioner.waiting_since]

    def _refused(self) -> list[str]:
        return [each for each, kernel in self._sized() if _has_failed(kernel)]

    def _sized(self) -> Iterator[tuple[str, Any]]:
        """The kernels that have or want a slice."""
        kernels = self.parent.kernel_manager
        for kernel_id in kernels.list_kernel_ids():
            kernel = kernels.get_kernel(kernel_id)
            if isinstance(kernel.provisioner, MIGProvisioner):
                yield kernel_id, kernel

    def _connected(self) -> list[str]:
        """Kernels with a websocket, also one that waits for the kernel to be ready. Jupyter keeps
        these for its own use only; its count of connections goes wrong for pending kernels.
        """
        connection_class = self.parent.web_app.settings["kernel_websocket_connection_class"]
        sessions: Iterable[str] = getattr(connection_class, "_open_sessions", ())
        return [key.partition(":")[0] for key in sessions]


def _has_failed(kernel: Any) -> bool:
    ready = kernel.ready
    return ready.done() and not ready.cancelled() and ready.exception() is not None
