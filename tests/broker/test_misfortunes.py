"""What befalls GPUs while slices are held, seen through a real broker: a lease ends only on proof,
and whoever looks at the node reads what is the matter and what to do.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.client import Client
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated import Code, Fault
from jupyter_mig.wire.messages import GpuView, LeaseRequest, LeaseView
from tests.broker.brokers import Orders, Post, until

OFTEN = Orders(observe=0.1)


@pytest.fixture
def post(runtime: Path) -> Post:
    """A place for a broker on two simulated A30 whose slices an administrator makes."""
    return Post(runtime, "2xA30?time_scale=0", OFTEN, inventory="static")


async def held(client: Client, post: Post) -> LeaseView:
    """A lease on the only slice of GPU 0."""
    await client.broker()
    with post.silicon() as node:
        node.create(0, "2g.12gb")
    request = LeaseRequest(kernel_id="k", size="2g.12gb")

    async def granted() -> LeaseView | None:
        try:
            return await client.acquire(request)
        except errors.UnknownSize:  # not looked at yet
            return None

    return await until(granted)


async def troubled(client: Client, words: str) -> GpuView:
    """GPU 0 once its problem is said in these words; empty when there is none."""

    async def look() -> GpuView | None:
        found = (await client.node()).gpus[0]
        return found if (words in found.problem if words else not found.problem) else None

    return await until(look)


@pytest.mark.parametrize(
    ("trouble", "problem", "step"),
    [
        ("lose", "GPU is lost", "nvidia-smi -i 0 --gpu-reset"),
        ("require_reset", "GPU requires reset", "nvidia-smi -i 0 --gpu-reset"),
        ("remove_driver", "Driver Not Loaded", "kernel module"),
        ("upgrade_driver", "version mismatch", "reload the nvidia kernel modules or reboot"),
    ],
)
async def test_trouble_ends_no_lease(post: Post, trouble: str, problem: str, step: str) -> None:
    """Lost, waiting for a reset, without driver: named, with the way out; then all is as before."""
    client = post.client()
    lease = await held(client, post)
    with post.silicon() as node:
        of_gpu = trouble in ("lose", "require_reset")
        getattr(node, trouble)(*(0,) if of_gpu else ())
        found = await troubled(client, problem)
        assert step in found.next_step
        assert found.mode == "unusable"
        assert (await client.lease(lease.lease_id)).state == "granted"
        if of_gpu:
            node.recover(0)
        else:
            node.restore_driver()
    await troubled(client, "")
    assert (await client.lease(lease.lease_id)).slice == lease.slice


@pytest.mark.parametrize(
    ("function", "code"),
    [
        ("nvmlDeviceGetGpuInstances", Code.UNKNOWN),
        ("nvmlDeviceGetMigMode", Code.UNKNOWN),
        ("nvmlDeviceGetGpuInstanceProfileInfo*", 424242),
        ("nvmlGpuInstanceGetInfo", Code.INVALID_ARGUMENT),
        ("nvmlDeviceGetCount*", Code.UNKNOWN),
        ("nvmlDeviceGetUUID", Code.INSUFFICIENT_SIZE),
    ],
)
async def test_a_failing_call_ends_no_lease(post: Post, function: str, code: int) -> None:
    """Whatever call fails with whatever code, also one from the future: the lease goes on."""
    client = post.client()
    lease = await held(client, post)
    with post.silicon() as node:
        node.inject(Fault(function, code, times=None))
        found = await troubled(client, " ")
        assert found.problem
        assert (await client.lease(lease.lease_id)).state == "granted"
        node.clear_faults()
    await troubled(client, "")
    assert (await client.lease(lease.lease_id)).slice == lease.slice


async def test_mig_switched_off_is_proof(post: Post) -> None:
    """No MIG, no slice: the lease is over and says so, and the command to switch on is shown."""
    client = post.client()
    lease = await held(client, post)
    with post.silicon() as node:
        node.reset(0)
        node.set_mig_mode(0, on=False)
        found = await troubled(client, "MIG mode is off")
        assert found.next_step == "sudo nvidia-smi -i 0 -mig 1"
        ended = await client.lease(lease.lease_id)
        assert ended.refusal is not None
        assert ended.refusal.kind == "lease-ended"
        assert "gone from its GPU" in ended.refusal.message
        node.set_mig_mode(0, on=True)
    await troubled(client, "")


async def test_others_make_and_destroy(post: Post) -> None:
    """A slice made by somebody else is on offer soon; one destroyed under its lease ends that."""
    client = post.client()
    lease = await held(client, post)
    assert lease.slice is not None
    with post.silicon() as node:
        node.destroy(lease.slice.mig_uuid)
        ended = await client.lease(lease.lease_id, lease.version, 20)
        assert ended.state == "released"
        other = node.create(1, "1g.6gb")
    request = LeaseRequest(kernel_id="l", size="1g.6gb")

    async def granted() -> LeaseView | None:
        try:
            return await client.acquire(request)
        except errors.UnknownSize:
            return None

    again = await until(granted)
    assert again.slice is not None
    assert again.slice.mig_uuid == other


async def test_a_waiting_kernel_is_served_when_the_gpu_is_back(post: Post) -> None:
    """While a GPU does not answer nothing new starts on it, and nobody is refused for ever."""
    client = post.client()
    await client.release((await held(client, post)).lease_id)
    with post.silicon() as node:
        node.lose(0)
        await troubled(client, "GPU is lost")
        waiting = asyncio.create_task(
            client.acquire(LeaseRequest(kernel_id="w", size="2g.12gb", patience_seconds=60))
        )

        async def in_line() -> bool:
            return (await client.node()).waiting == 1

        await until(in_line)
        node.recover(0)
    assert (await waiting).state == "granted"


async def test_what_is_broken_from_the_start_is_told(runtime: Path) -> None:
    """One of two GPUs is lost before the broker starts: the other works."""
    post = Post(runtime, "2xA30?time_scale=0", OFTEN)
    with simulated.installed(post.node, state=post.directory / "simulated.json") as node:
        node.lose(0)
    client = post.client()
    lease = await client.acquire(LeaseRequest(kernel_id="k", size="1g.6gb"))
    assert lease.slice is not None
    assert lease.slice.gpu_index == 1
