"""What the broker reads of its slices, and when."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import pytest

from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.door.door import Door
from jupyter_mig.broker.door.routes import OneUser
from jupyter_mig.broker.gauges import Gauges
from jupyter_mig.broker.service import Service
from jupyter_mig.client import Client, Settings
from jupyter_mig.core import events
from jupyter_mig.core.leases import Lease, LeaseState
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated import dcgm_exporter
from jupyter_mig.nvml.simulated.library import Function
from jupyter_mig.wire import meeting
from jupyter_mig.wire.messages import HistoryPoint, LeaseRequest, LeaseView, SliceReadingsView
from tests.broker.brokers import NODE, Post, until
from tests.broker.households import Household, ask, changed_to, emptied, household

H100 = "1xH100 80GB HBM3?time_scale=0"


@contextmanager
def busy_process() -> Iterator[int]:
    """A process that uses one processor, by pid."""
    worker = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield worker.pid
    finally:
        worker.kill()
        worker.wait()


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of all NVML functions called meanwhile, in whatever thread."""
    called: list[str] = []
    original = Function.__call__

    def told(self: Function, *raw: object) -> int:
        called.append(self.__name__)
        return original(self, *raw)

    with monkeypatch.context() as patch:
        patch.setattr(Function, "__call__", told)
        yield called


@asynccontextmanager
async def leased(home: Household, size: str) -> AsyncIterator[tuple[Service, Lease]]:
    """A service in this process, and a lease on it."""
    async with home.started() as service:
        request = ask("k", size)
        await service.post(events.SlicesRequested((request,)))
        lease = service.state.leases[request.lease_id]
        await changed_to(service, lease, LeaseState.GRANTED)
        yield service, lease
        if lease.state is not LeaseState.RELEASED:
            await service.post(events.LeaseReleased(lease.lease_id))
        await emptied(service)


async def held(client: Client, size: str) -> LeaseView:
    """A lease, however long it takes."""
    return await client.acquire(LeaseRequest("k", size, patience_seconds=20))


async def busy(client: Client) -> SliceReadingsView:
    """The one slice's readings once it is seen to be busy."""

    async def shown() -> SliceReadingsView | None:
        (one,) = (await client.readings()).slices
        return one if one.utilization.get("sm", 0) > 0 else None

    return await until(shown, seconds=60)


async def test_a_busy_kernel_shows_in_the_counters_of_its_slice(runtime: Path) -> None:
    """On a GPU that has them; with what the board draws, and who is on the slice."""
    post = Post(runtime, H100)
    client = post.client()
    lease = await held(client, "1g.10gb")
    assert lease.slice is not None
    with busy_process() as pid, post.silicon() as silicon:
        await client.bind(lease.lease_id, pid)
        with silicon.cuda_client(lease.slice.mig_uuid, pid):
            one = await busy(client)
            (gpu,) = (await client.readings()).gpus
    assert (one.utilization_source, one.utilization_not_available) == ("GPM", "")
    assert 0 < one.utilization["sm"] <= 100
    assert one.processes == 1
    assert gpu.gpu_uuid == lease.slice.gpu_uuid
    assert gpu.power_watts
    assert gpu.temperature_celsius
    assert gpu.not_available == ""


async def test_an_a100_says_what_would_tell_its_utilization(post: Post) -> None:
    """Its memory is there all the same."""
    client = post.client()
    await held(client, "1g.5gb")
    (one,) = (await client.readings()).slices
    assert one.utilization == {}
    assert "JUPYTER_MIG_DCGM_EXPORTER" in one.utilization_not_available
    assert one.memory_total_bytes
    assert one.processes == 0


async def test_an_a100_is_read_through_a_dcgm_exporter(post: Post) -> None:
    """The whole way: collected, exposed, asked for over HTTP, told; in the history, too."""
    with dcgm_exporter.serving(post.directory / meeting.SILICON, collect_seconds=0.5) as address:
        post.settings = msgspec.structs.replace(post.settings, dcgm_exporter=address)
        client = post.client()
        lease = await held(client, "1g.5gb")
        with busy_process() as pid:
            await client.bind(lease.lease_id, pid)
            one = await busy(client)

            async def kept() -> tuple[HistoryPoint, ...]:
                await client.readings()
                (history,) = (await client.history()).leases
                assert history.lease_id == lease.lease_id
                return history.points if history.points[-1].utilization else ()

            points = await until(kept)
    assert one.utilization_source == "dcgm-exporter"
    assert 0 < one.utilization["graphics"] <= 100
    ages = [point.age_seconds for point in points]
    assert ages == sorted(ages, reverse=True)


async def test_a_slice_that_changes_hands_brings_no_past(runtime: Path) -> None:
    """Handed out as it is, the next lease's history begins with its grant."""
    post = Post(runtime, inventory="static")
    with simulated.installed(NODE, state=post.directory / meeting.SILICON) as node:
        node.create(0, "1g.5gb")
    client = post.client()
    first = await client.acquire(LeaseRequest("a", "1g.5gb", patience_seconds=60))
    await client.readings()
    view = await client.history()
    (history,) = view.leases
    assert (history.lease_id, len(history.points), view.step_seconds) == (first.lease_id, 1, 5.0)
    await client.release(first.lease_id)
    second = await client.acquire(LeaseRequest("b", "1g.5gb", patience_seconds=60))
    assert second.slice == first.slice
    (history,) = (await client.history()).leases
    assert (history.lease_id, history.points) == (second.lease_id, ())


async def test_history_is_for_the_leases_owner(runtime: Path) -> None:
    """Of another user's lease there is none, not even its name."""
    with household(runtime) as home:
        async with home.started() as service:
            theirs = msgspec.structs.replace(ask("k", "1g.5gb"), owner=os.getuid() + 1)
            await service.post(events.SlicesRequested((theirs,)))
            lease = service.state.leases[theirs.lease_id]
            await changed_to(service, lease, LeaseState.GRANTED)
            path = runtime / "door.sock"
            door = Door(service, home.driver, Keys(b"secret"), OneUser(os.getuid()))
            door.open(path)
            client = Client(Settings(home.driver.name, path))
            assert len((await client.readings()).slices) == 1
            assert (await client.history()).leases == ()
            await door.close()


@pytest.mark.parametrize(("keep_reading", "points"), [("0.02", 1), ("0", 0)])
async def test_slices_are_read_when_nobody_looks(
    post: Post, keep_reading: str, points: int
) -> None:
    """If that is wanted: only the history was ever asked for."""
    post.settings = msgspec.structs.replace(post.settings, keep_reading=keep_reading)
    client = post.client()
    lease = await held(client, "1g.5gb")

    async def kept() -> bool:
        (one,) = (await client.history()).leases
        assert one.lease_id == lease.lease_id
        return len(one.points) == points

    await until(kept)


@pytest.mark.parametrize("node", ["1xA100-SXM4-40GB?time_scale=0", H100])
async def test_driver_calls_do_not_grow_with_viewers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: str
) -> None:
    """One pass for one, and the same for a hundred at a time."""
    with household(tmp_path, node) as home:
        async with leased(home, "20gb+") as (service, _):
            calls = []
            for viewers in (1, 1, 100):
                gauges = Gauges(service, home.driver)
                with counted(monkeypatch) as called:
                    await asyncio.gather(*(gauges.readings() for _ in range(viewers)))
                calls.append(called)
    assert calls[1] == calls[2]
    assert len(calls[2]) < 40


async def test_nothing_is_read_while_no_slice_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even now and then."""
    with household(tmp_path) as home:
        home.settings = msgspec.structs.replace(home.settings, keep_reading=0.01)
        async with leased(home, "1g.5gb") as (service, lease):
            gauges = Gauges(service, home.driver)
            gauges.start()

            async def read() -> bool:
                return bool(gauges.history(lease.lease_id))

            await until(read)
            await service.post(events.LeaseReleased(lease.lease_id))
            await emptied(service)
            with counted(monkeypatch) as called:
                await asyncio.sleep(0.2)
            await gauges.stop()
    assert called == []
