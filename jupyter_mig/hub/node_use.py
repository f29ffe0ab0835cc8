"""What the idle culler's arbiter wants to know, asked of the node's broker."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from jupyter_mig.hub.culling import Use

if TYPE_CHECKING:
    from jupyter_mig.client.shared import Shared
    from jupyter_mig.wire.administration import UseView

REMEMBER_SECONDS = 10.0
"""The culler asks about all servers in one go: that is one question to the broker."""


class NodeUse:
    """For :class:`~jupyter_mig.hub.culling.Arbiter`: the slices that a user of the Hub holds on
    this node. Where it runs the broker must take it for an administrator, as it does root.

    Raises errors of :mod:`jupyter_mig.errors` if there is no answer: then the culler stops nobody.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._uses: Shared[tuple[UseView, ...]] | None = None
        self._name_of: Callable[[str], str] = str

    async def __call__(self, name: str) -> list[Use]:
        """What is known of each of his slices."""
        uses = await self._shared().now()
        called = self._name_of(name)
        return [
            Use(each.held_seconds, each.utilization, each.processes)
            for each in uses
            if each.user == called != ""
        ]

    def _shared(self) -> Shared[tuple[UseView, ...]]:
        # Not before it is needed: jupyterhub_config.py is read in places without a broker.
        from jupyter_mig.client.shared import Shared

        if self._uses is None:
            self._uses = Shared(self._ask, REMEMBER_SECONDS)
        return self._uses

    async def _ask(self) -> tuple[UseView, ...]:
        from jupyter_mig.client.administrator import Administrator
        from jupyter_mig.client.settings import Settings

        settings = Settings.from_environment(self._environ)
        if settings.system is not None:
            self._name_of = settings.system.name_of
        client = Administrator(settings)
        try:
            return tuple(await client.uses())
        finally:
            client.close()
