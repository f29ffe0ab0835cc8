from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from jupyter_mig.client import Client, Settings
from jupyter_mig.wire.messages import LeaseRequest
from tests.broker.brokers import until
from tests.cli.nodes import CommandLine, simulated


@pytest.fixture(scope="module")
def mig() -> Iterator[CommandLine]:
    """One node of two GPUs for all tests of this file; each leaves it empty."""
    with simulated() as command_line:
        yield command_line


@pytest.fixture
def fresh() -> Iterator[CommandLine]:
    """A node without a broker."""
    with simulated() as command_line:
        yield command_line


@pytest.fixture
async def client(mig: CommandLine) -> AsyncIterator[Client]:
    """Somebody who looks on. When the test is over, nothing may be left of it."""
    client = Client(Settings.from_environment(mig.environ))

    async def empty() -> bool:
        node = await client.node()
        return not await client.leases() and not any(gpu.instances for gpu in node.gpus)

    yield client
    await until(empty)
    client.close()


@pytest.fixture
async def full(client: Client) -> AsyncIterator[None]:
    """Both GPUs are taken for the time of the test."""
    held = [
        await client.acquire(LeaseRequest(f"full {number}", "7g.40gb", patience_seconds=60))
        for number in (1, 2)
    ]
    yield
    for lease in held:
        await client.release(lease.lease_id)
