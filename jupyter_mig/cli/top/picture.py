"""All that one look at the broker tells."""

from __future__ import annotations

import msgspec

from jupyter_mig.client import Client
from jupyter_mig.wire.messages import BrokerView, LeaseView, NodeView, ReadingsView


class Picture(msgspec.Struct, frozen=True):
    """The broker's views of about the same moment."""

    broker: BrokerView
    node: NodeView
    leases: list[LeaseView]
    readings: ReadingsView


async def ask(client: Client) -> Picture:
    """Ask for everything."""
    return Picture(
        await client.broker(), await client.node(), await client.leases(), await client.readings()
    )
