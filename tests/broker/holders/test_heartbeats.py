"""Holders that are known by their heartbeats."""

from __future__ import annotations

import asyncio
import time

from jupyter_mig.broker.holders.heartbeats import Heartbeats, new_heartbeat
from jupyter_mig.core.leases import Holder


async def test_a_broker_that_stood_still_has_missed_nobody() -> None:
    """Suspended or stopped for longer than one may be silent: what was said meanwhile is heard
    after that. Who goes on saying nothing has left.
    """
    left: list[Holder] = []
    over = asyncio.Event()

    def leaves(holder: Holder) -> None:
        left.append(holder)
        over.set()

    heartbeats = Heartbeats(leaves, silence_seconds=0.3)
    one, other = new_heartbeat(), new_heartbeat()
    heartbeats.watch({one, other})
    time.sleep(0.5)  # noqa: ASYNC251 - it stands still
    for _ in range(2):
        await asyncio.sleep(0)
    assert left == []
    heartbeats.end(other)
    over.clear()
    await asyncio.wait_for(over.wait(), 60)
    assert left == [other, one]
