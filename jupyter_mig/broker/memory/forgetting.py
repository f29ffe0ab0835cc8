"""Once a day a broker forgets what is older than its administrator wants to look up."""

from __future__ import annotations

import asyncio

from jupyter_mig.broker.memory.annals import Annals

DAY_SECONDS = 86400.0


async def keep_short(annals: Annals, days: float, every_seconds: float = DAY_SECONDS) -> None:
    """Have entries that are older removed, now and from day to day, until cancelled. The writer of
    the annals does the work. 0 days is for ever.
    """
    while days:
        annals.forget(annals.now() - days * DAY_SECONDS)
        await asyncio.sleep(every_seconds)
