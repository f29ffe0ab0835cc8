"""Real brokers on simulated nodes, one test for each way that slices come about."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.client import Client
from jupyter_mig.wire.messages import GpuView, LeaseRequest, LeaseView
from tests.broker.brokers import Orders, Post, until

OFTEN = Orders(observe=0.1)


def post_at(runtime: Path, node: str, inventory: str, visible: str = "", options: str = "") -> Post:
    """A place for a broker on a node whose instances have device nodes under ``runtime``."""
    whole = f"{node}?time_scale=0&root={runtime / 'tree'}{options}"
    return Post(runtime, whole, OFTEN, inventory=inventory, visible=visible)


async def gpu(client: Client, index: int = 0) -> GpuView:
    """One GPU as the broker shows it."""
    return (await client.node()).gpus[index]


async def seen(client: Client, states: list[str], index: int = 0) -> GpuView:
    """One GPU once its instances are in these states."""

    async def look() -> GpuView | None:
        found = await gpu(client, index)
        return found if sorted(one.state for one in found.instances) == states else None

    return await until(look)


async def lease_of(client: Client, kernel_id: str, size: str) -> LeaseView:
    """A slice now, or a refusal."""
    return await client.acquire(LeaseRequest(kernel_id=kernel_id, size=size))


async def test_a_gpu_without_mig_is_lent_as_a_whole(runtime: Path) -> None:
    """It has a size by its memory, CUDA's name is its own UUID, and one kernel has it at a time."""
    post = post_at(runtime, "1xA30", "full", options="&mig=off")
    client = post.client()
    found = await seen(client, ["idle"])
    assert (found.inventory, found.problem, found.instances[0].profile) == ("full", "", "full.24gb")
    lease = await lease_of(client, "k", "20gb+")
    assert lease.slice is not None
    assert lease.slice.whole_gpu
    assert lease.slice.mig_uuid == lease.slice.gpu_uuid == found.uuid
    with pytest.raises(errors.NoRoom):
        await lease_of(client, "l", "full.24gb")
    await client.release(lease.lease_id)
    await seen(client, ["idle"])
    with post.silicon() as node, node.cuda_client(found.uuid), pytest.raises(errors.NoRoom):
        await lease_of(client, "m", "full.24gb")
    again = await client.acquire(LeaseRequest(kernel_id="n", size="full.24gb", patience_seconds=30))
    assert again.state == "granted"


async def test_a_gpu_in_mig_mode_is_no_whole(runtime: Path) -> None:
    """Its instances are not lent beside it, and the way out is named with the GPU's number."""
    post = post_at(runtime, "2xA30", "full:1 static")
    client = post.client()
    await client.broker()
    with post.silicon() as node:
        node.create(1, "1g.6gb")
    found = await gpu(client, 1)
    assert found.problem.startswith("MIG mode is on")
    assert found.next_step.startswith("sudo nvidia-smi -i 1 -mig 0")
    assert found.instances == ()
    with pytest.raises(errors.DriverError, match="MIG mode is on") as caught:
        await lease_of(client, "k", "1g.6gb")
    assert caught.value.next_step == found.next_step


async def test_ways_are_mixed_on_one_node(runtime: Path) -> None:
    """One GPU is cut as wanted, one keeps its slices, one is lent whole; each says why."""
    post = post_at(runtime, "3xA30", "dynamic:0 static:1 full:2")
    client = post.client()
    await client.broker()
    with post.silicon() as node:
        kept = node.create(1, "2g.12gb")
        node.set_mig_mode(2, on=False)
    await seen(client, ["idle"], 1)
    await seen(client, ["idle"], 2)
    ways = [(one.inventory, one.why[:22]) for one in (await client.node()).gpus]
    assert ways == [(way, "JUPYTER_MIG_INVENTORY ") for way in ("dynamic", "static", "full")]
    leases = [await lease_of(client, size, size) for size in ("1g.6gb", "2g.12gb", "full.24gb")]
    assert [one.slice.gpu_index for one in leases if one.slice] == [0, 1, 2]
    for lease in leases:
        await client.release(lease.lease_id)

    async def only_what_was_there() -> bool:
        return post.instances() == [kept]

    await until(only_what_was_there)


async def test_only_what_can_be_opened_is_visible(runtime: Path) -> None:
    """An instance whose node is missing is no slice of ours, whatever the variables say."""
    post = post_at(runtime, "1xA30", "visible", "NVIDIA_VISIBLE_DEVICES=all")
    client = post.client()
    await client.broker()
    with post.silicon() as node:
        for start in (0, 1, 2):
            node.create(0, "1g.6gb", start)
        hidden = node.gpus[0].instances[0]
    await seen(client, ["idle", "idle", "idle"])
    (runtime / "tree" / "dev" / "nvidia-caps" / f"nvidia-cap{3 + 9 * hidden.id}").unlink()
    found = await seen(client, ["idle", "idle", "outside"])
    assert found.inventory == "visible"
    assert any("cannot be opened" in note for note in found.notes)
    (size,) = (await client.node()).sizes
    assert (size.free, size.total) == (2, 2)
    leases = [await lease_of(client, name, "1g.6gb") for name in ("k", "l")]
    assert hidden.compute_instances[0].mig_uuid not in [
        one.slice.mig_uuid for one in leases if one.slice
    ]
    with pytest.raises(errors.NoRoom):
        await lease_of(client, "m", "1g.6gb")


async def test_hints_narrow_what_is_visible(runtime: Path) -> None:
    """A UUID is heeded, one that is not there is said, and a lease is not lost by it."""
    first = post_at(runtime, "1xA30", "visible")
    await first.client().broker()
    with first.silicon() as node:
        uuids = [node.create(0, "1g.6gb", start) for start in (0, 1)]
    hints = f"CUDA_VISIBLE_DEVICES={uuids[1]},MIG-gone"
    second = Post(runtime, first.node, OFTEN, inventory="visible", visible=hints)
    (second.directory / "simulated.json").write_bytes(
        (first.directory / "simulated.json").read_bytes()
    )
    client = second.client()
    found = await seen(client, ["idle", "outside"])
    assert "CUDA_VISIBLE_DEVICES names MIG-gone, which cannot be opened here" in found.notes
    assert "MIG-gone" in (second.directory / "broker.log").read_text()
    lease = await lease_of(client, "k", "1g.6gb")
    assert lease.slice is not None
    assert lease.slice.mig_uuid == uuids[1]


async def test_nothing_visible_is_explained(runtime: Path) -> None:
    """Slices exist, none is for us: not "no slices", and not a word about root."""
    post = post_at(runtime, "1xA30", "visible", "CUDA_VISIBLE_DEVICES=")
    client = post.client()
    await client.broker()
    with post.silicon() as node:
        node.create(0, "1g.6gb")
    await seen(client, ["outside"])
    with pytest.raises(errors.UnknownSize, match="can be used from here") as caught:
        await lease_of(client, "k", "1g.6gb")
    assert "CUDA_VISIBLE_DEVICES" in caught.value.next_step


async def test_an_unprivileged_reader_counts_right(runtime: Path) -> None:
    """Starts are not available and it says so; what is free is right all the same."""
    post = post_at(runtime, "1xA100-SXM4-40GB", "static", options="&privileged=off")
    client = post.client()
    await client.broker()
    with post.silicon() as node:
        node.create(0, "3g.20gb", 4)
        node.create(0, "1g.5gb", 0)
        used = node.create(0, "1g.5gb", 1)
        node.cuda_client(used)
    found = await seen(client, ["idle", "idle", "idle"])
    assert [one.start for one in found.instances] == [None, None, None]
    assert [note for note in found.notes if "not available" in note]

    async def counts() -> dict[str, tuple[int, int]]:
        return {one.size: (one.free, one.total) for one in (await client.node()).sizes}

    assert await counts() == {"1g.5gb": (1, 2), "3g.20gb": (1, 1)}
    await lease_of(client, "k", "3g.20gb")
    assert await counts() == {"1g.5gb": (1, 2), "3g.20gb": (0, 1)}
    await lease_of(client, "l", "1g.5gb")
    with pytest.raises(errors.NoRoom):
        await lease_of(client, "m", "1g.5gb")


async def test_a_setting_that_cannot_be_meant_fails_the_start(runtime: Path) -> None:
    """The starter hears which words there are."""
    post = post_at(runtime, "1xA30", "quick")
    with pytest.raises(errors.MalformedSpec, match="quick is no inventory"):
        await post.client().broker()
