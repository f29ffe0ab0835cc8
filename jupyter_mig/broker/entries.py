"""What stands in the broker's line of events, and what came of it."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from jupyter_mig.core import events
from jupyter_mig.core.actions import AnyAction
from jupyter_mig.core.choices import Choice
from jupyter_mig.core.events import AnyEvent

REFUSABLE = (
    events.SlicesRequested,
    events.LeaseBound,
    events.LeaseRenewed,
    events.ResizeRequested,
    events.TimePassed,
)
"""Events that are dropped, not kept, when they cannot be logged: somebody may ask again."""


class Entry(NamedTuple):
    """An event, and who waits until it was handled."""

    event: AnyEvent
    handled: asyncio.Future[list[AnyAction]] | None


class Outcome(NamedTuple):
    """What is to be done, each with the GPU that it is about, once the choices are logged."""

    handled: asyncio.Future[list[AnyAction]] | None
    todo: list[AnyAction]
    gpus: list[str | None]
    choices: tuple[Choice, ...]
