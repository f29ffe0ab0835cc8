"""What becomes of a kernel's slice when the kernel has died, and of a kernel whose slice was taken.

Jupyter's restarter looks every few seconds whether a kernel is alive, and starts one that is not
again. Where an administrator or his rule had ended its lease, it would get another slice, and what
was to end would go on.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from jupyter_mig.client import Client
from jupyter_mig.errors import JupyterMigError
from jupyter_mig.wire.messages import ErrorBody, LeaseView

_TAKEN = ("revoked", "lifetime")
"""Ends of leases that an administrator or his rule wanted."""


class MortalProvisioner(LocalProvisioner):
    """A local kernel with a lease, which is given back when Jupyter gives the kernel up; that is at
    once if the slice was taken.
    """

    client: Client

    lease: LeaseView | None = None
    """What we hold. None: nothing, or a request that waits."""

    died = False
    """Whether Jupyter gave the kernel up, after so many deaths."""

    taken: ErrorBody | None = None
    """Why it was given up, if an administrator or a rule had taken its slice."""

    parent: Any

    async def post_launch(self, **kwargs: Any) -> None:
        """Ask to be told when Jupyter gives the kernel up: it calls no ``cleanup`` then."""
        await super().post_launch(**kwargs)
        self.parent.remove_restart_callback(self._given_up, "dead")
        self.parent.add_restart_callback(self._given_up, "dead")

    def _given_up(self) -> None:
        self.died = True
        self._release_task = asyncio.ensure_future(self._release())

    async def poll(self) -> int | None:
        """Whether the process has ended, and how. Once a kernel was given up here Jupyter is told,
        that once, that it lives: it would tell people that it starts it again.
        """
        status = await super().poll()
        if status is not None and self.lease is not None and self._starts_by_itself():
            why = await self._why_taken(self.lease.lease_id)
            if why is not None and self.taken is None:
                self._give_up(why)
                return None
        return status

    def _starts_by_itself(self) -> bool:
        """Whether Jupyter starts the kernel again, if it is dead."""
        wanted = self.has_process and not getattr(self.parent, "shutting_down", True)
        return wanted and getattr(self.parent, "_restarter", None) is not None

    async def _why_taken(self, lease_id: str) -> ErrorBody | None:
        """None: it was not taken, or nobody knows."""
        try:
            lease = await self.client.lease(lease_id)
        except JupyterMigError:
            return None
        return lease.refusal if lease.end_reason in _TAKEN else None

    def _give_up(self, why: ErrorBody) -> None:
        """Have Jupyter give the kernel up, as after five deaths in a row."""
        self.taken = why
        self.log.warning("Kernel %s is not started again: %s", self.kernel_id, why.message)
        self.parent.stop_restarter()
        # There is no public way to say so.
        self.parent._restarter._fire_callbacks("dead")  # noqa: SLF001

    async def _release(self) -> None:
        lease, self.lease = self.lease, None
        if lease is None:
            return
        try:
            await self.client.release(lease.lease_id)
        except JupyterMigError as error:
            # The broker finds out by itself, by the processes; this is only slower.
            self.log.warning("Could not release lease %s: %s", lease.lease_id, error.message)
