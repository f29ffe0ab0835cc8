"""What the door tells of the slices' memory."""

from __future__ import annotations

import asyncio
import sys

from jupyter_mig.client import Client
from jupyter_mig.wire.messages import LeaseRequest
from tests.broker.brokers import Post, until


async def test_memory_in_use_is_told_by_instance(post: Post) -> None:
    """What a process takes shows in the reading of its slice, which the node's view names."""
    client = post.client()
    lease = await client.acquire(LeaseRequest("k", "1g.5gb", patience_seconds=20))
    assert lease.slice is not None
    with post.silicon() as silicon, silicon.cuda_client(lease.slice.mig_uuid, memory_bytes=2**30):

        async def full() -> bool:
            (gpu,) = (await client.node()).gpus
            (instance,) = [one for one in gpu.instances if one.lease_id == lease.lease_id]
            readings = await client.readings()
            assert readings.simulated
            (one,) = readings.slices
            assert one.instance_id == instance.instance_id
            assert one.memory_total_bytes == instance.memory_bytes
            return (one.memory_used_bytes or 0) >= 2**30

        await until(full)
    await _gone(client, lease.lease_id)


async def test_a_simulated_slice_shows_the_memory_of_its_kernel(post: Post) -> None:
    """Nothing but the bind is needed: a notebook that fills its memory fills its slice."""
    client = post.client()
    lease = await client.acquire(LeaseRequest("k", "1g.5gb", patience_seconds=20))
    kernel = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "held = b'1' * 2**28; input()"), stdin=asyncio.subprocess.PIPE
    )
    await client.bind(lease.lease_id, kernel.pid)

    async def shown() -> bool:
        (one,) = (await client.readings()).slices
        return (one.memory_used_bytes or 0) >= 2**28

    await until(shown)
    await kernel.communicate(b"\n")
    await _gone(client, lease.lease_id)


async def _gone(client: Client, lease_id: str) -> None:
    await client.release(lease_id)

    async def empty() -> bool:
        return not (await client.readings()).slices

    await until(empty)


async def test_a_gpu_that_is_lost_says_so(post: Post) -> None:
    """No reading, a reason, and no error."""
    client = post.client()
    await client.acquire(LeaseRequest("k", "1g.5gb", patience_seconds=20))
    with post.silicon() as silicon:
        silicon.lose(0)

        async def told() -> bool:
            (one,) = (await client.readings()).slices
            return "lost" in one.memory_not_available

        await until(told)
        silicon.recover(0)
