"""Who else has come to manage GPUs here while the broker runs: nothing new is started on those, as
if an administrator drained them, until nobody else has them any more.

What is there goes on: whoever has a slice keeps it. The log and the annals tell of it, and the
node's view says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from jupyter_mig import errors
from jupyter_mig.broker.memory.annals import Annals
from jupyter_mig.broker.service import Service
from jupyter_mig.broker.story import line
from jupyter_mig.core import events
from jupyter_mig.core.events import AnyEvent
from jupyter_mig.core.observations import CLAIMED
from jupyter_mig.wire.administration import Entry

log = logging.getLogger(__name__)

Look = Callable[[], Mapping[str, str]]
"""Who has which GPU, by UUID. It may block, and raise what a driver raises."""


class Lookout:
    """Has ``look`` done, and tells the ledger."""

    def __init__(self, service: Service, annals: Annals | None, look: Look) -> None:
        self._service = service
        self._annals = annals
        self._look = look
        self._trouble = ""

    async def keep_looking(self, every_seconds: float) -> None:
        """Now, and again and again until cancelled; 0 seconds is never."""
        while every_seconds:
            try:
                await self._compare(await asyncio.to_thread(self._look))
                self._trouble = ""
            except errors.JupyterMigError as error:
                self._tell_trouble(str(error))
            await asyncio.sleep(every_seconds)

    async def _compare(self, claimed: Mapping[str, str]) -> None:
        drained = dict(self._service.state.drained)
        for uuid, who in claimed.items():
            if uuid not in drained:
                await self._tell("claimed", uuid, who, events.GpuDrained(uuid, CLAIMED + who))
        for uuid, why in drained.items():
            if why.startswith(CLAIMED) and uuid not in claimed:
                who = why.removeprefix(CLAIMED)
                await self._tell("unclaimed", uuid, who, events.GpuReopened(uuid))

    async def _tell(self, what: str, uuid: str, who: str, event: AnyEvent) -> None:
        await self._service.post(event)
        log.warning("%s", line(what.capitalize(), gpu=uuid, who=who))
        if self._annals is not None:
            self._annals.note(Entry(self._annals.now(), what, gpu_uuid=uuid, reason=who))

    def _tell_trouble(self, trouble: str) -> None:
        """Once for each; what was known holds."""
        if trouble != self._trouble:
            log.warning("Whether others have the GPUs is not known: %s", trouble)
        self._trouble = trouble
