"""A node's broker that is killed and started again by somebody else, with no manager that keeps its
door, while users' kernels start.
"""

from __future__ import annotations

import asyncio

import pytest

from jupyter_mig.client.client import Client
from jupyter_mig.client.settings import Settings
from jupyter_mig.wire.messages import LeaseRequest, LeaseView
from tests.broker.system.shared_node import lacking, shared_node

_SLICES = 7


async def test_starts_in_flight_get_their_slices_from_the_next_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody listens for as long as it takes somebody to start it; nothing is lost or doubled."""
    if lacking():
        pytest.skip(lacking())
    # A few tries are over long before a process has started.
    monkeypatch.setattr("jupyter_mig.client.client._REVIVE_SECONDS", 0.01)
    with shared_node() as node:
        node.start()
        client = Client(Settings.from_environment(node.environ()))
        first = await client.acquire(LeaseRequest("kernel-0", "1g.5gb"))
        starts = [
            asyncio.ensure_future(client.acquire(LeaseRequest(f"kernel-{n}", "1g.5gb")))
            for n in range(1, _SLICES)
        ]
        while len(await client.leases()) == 1:
            pass
        node.kill()
        await asyncio.to_thread(node.start)
        leases = [first, *await asyncio.gather(*starts)]
        assert len({lease.slice.mig_uuid for lease in leases if lease.slice}) == _SLICES
        assert await _ids(client) == {lease.lease_id for lease in leases}
        client.close()


async def _ids(client: Client) -> set[str]:
    leases: list[LeaseView] = await client.leases()
    return {lease.lease_id for lease in leases}
