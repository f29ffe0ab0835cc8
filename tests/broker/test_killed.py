"""The broker is killed at every point before and after each log write and driver call.

The client goes on by itself with the next broker. Afterwards nothing is lost, doubled or leaked.
"""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.client import Client
from jupyter_mig.wire.messages import LeaseRequest, LeaseView
from tests.broker.brokers import Orders, Post, runtime_directory, until

PARTS = 6


def sleeper() -> subprocess.Popen[bytes]:
    """A kernel of few words."""
    return subprocess.Popen(["sleep", "60"])


class Story:
    """A user's day: two slices, one kernel that is restarted, one request that has to wait."""

    def __init__(self, client: Client, post: Post) -> None:
        self.client = client
        self.post = post
        self.kernels: list[subprocess.Popen[bytes]] = []

    async def run(self) -> None:
        """Live it, holding the broker to all that it promised."""
        first = await self.acquire("first", "1g.10gb")
        await self.bind(first)
        second = await self.acquire("second", "3g.20gb")
        assert second.slice != first.slice
        await self.client.release(second.lease_id)
        self.kernels[0].kill()
        await self.client.renew(first.lease_id)
        await self.bind(first)
        waiting = asyncio.ensure_future(self.acquire("third", "7g.40gb"))
        await self.client.release(first.lease_id)
        third = await waiting
        assert self.kernels[1].wait(10), "a kernel whose slice was given back still runs"
        await self.client.release(third.lease_id)
        await until(self.nobody_left)

    async def acquire(self, kernel_id: str, size: str) -> LeaseView:
        """Get a slice that is really there, and nobody else's."""
        request = LeaseRequest(kernel_id=kernel_id, size=size, patience_seconds=None)
        lease = await self.client.acquire(request)
        assert lease.slice is not None
        assert self.post.instances().count(lease.slice.mig_uuid) == 1
        held = [other.slice for other in await self.client.leases() if other.slice]
        assert held.count(lease.slice) == 1, "one slice, two leases"
        return lease

    async def bind(self, lease: LeaseView) -> None:
        """Start a kernel on the slice that was promised."""
        self.kernels.append(sleeper())
        bound = await self.client.bind(lease.lease_id, self.kernels[-1].pid)
        assert bound.state == "bound"
        assert bound.slice == lease.slice, "the slice changed under the kernel"

    async def nobody_left(self) -> bool:
        """Whether no lease and no instance remains."""
        return not await self.client.leases() and not self.post.instances()

    def close(self) -> None:
        """End the kernels."""
        for kernel in self.kernels:
            kernel.kill()
            kernel.wait()


async def _lived_through(post: Post) -> None:
    client = post.client()
    story = Story(client, post)
    with suppress(errors.BrokerStartFailed):  # killed while it starts: it is started again
        await client.broker()
    try:
        await story.run()
    finally:
        story.close()
        client.close()


@pytest.mark.parametrize("part", range(1, PARTS + 1))
async def test_nothing_is_lost_wherever_the_broker_is_killed(part: int) -> None:
    """SIGKILL at each point of a whole story; the successor keeps every promise."""
    points = []
    for number in range(part, 1000, PARTS):
        with runtime_directory() as runtime:
            post = Post(runtime, orders=Orders(kill_at=number))
            await _lived_through(post)
            killed = _killed_at(post.directory)
        if killed is None:
            break
        points.append(killed)
    assert len(points) > 5, points


def _killed_at(directory: Path) -> str | None:
    note = directory / "killed"
    return note.read_text() if note.exists() else None
