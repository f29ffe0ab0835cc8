from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.entries import Outcome
from jupyter_mig.broker.memory.log import EventLog, Record
from jupyter_mig.broker.service import Service
from jupyter_mig.core import actions, events
from jupyter_mig.core.choices import Choice
from jupyter_mig.core.leases import Lease, LeaseState
from jupyter_mig.nvml import simulated
from tests.broker.brokers import until
from tests.broker.households import Household, ask, changed_to, emptied, holder_of_pid, household


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Household]:
    """One simulated A100."""
    with household(tmp_path) as found:
        yield found


async def granted(service: Service, kernel_id: str, size: str = "1g.5gb") -> Lease:
    """A lease with a slice."""
    request = ask(kernel_id, size)
    await service.post(events.SlicesRequested((request,)))
    lease = service.find(request.lease_id)
    assert lease is not None
    await changed_to(service, lease, LeaseState.GRANTED)
    return lease


async def released(service: Service, lease: Lease) -> None:
    """A lease given back and over, its instance gone."""
    await service.post(events.LeaseReleased(lease.lease_id))
    await changed_to(service, lease, LeaseState.RELEASED)
    await emptied(service)


class Disk:
    """A disk that can be full. It stands for the physical world, which is not at hand here."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        append = EventLog.append

        def write(log: EventLog, records: list[Record]) -> int:
            if self.full:
                raise errors.UnwritableLog("The broker cannot write its log: disk is full")
            return append(log, records)

        monkeypatch.setattr(EventLog, "append", write)


async def test_events_are_in_the_log_before_they_count(home: Household) -> None:
    """When post returns, another reader of the file finds the event."""
    async with home.started() as service:
        request = ask("k", "9g.99gb")
        led_to = await service.post(events.SlicesRequested((request,)))
        assert [type(action) for action in led_to] == [actions.Refuse]
        database = sqlite3.connect(home.log)
        texts = [text for (text,) in database.execute("SELECT event FROM events")]
        database.close()
        assert any(request.lease_id in text for text in texts)


async def test_a_full_disk_refuses_requests_and_keeps_facts(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is granted that is not logged; what happened meanwhile counts once it is."""
    disk = Disk(monkeypatch)
    async with home.started() as service:
        lease = await granted(service, "k")
        kernel = subprocess.Popen(["sleep", "60"])  # noqa: ASYNC220 - it is quick
        bind = events.LeaseBound(lease.lease_id, holder_of_pid(kernel.pid), kernel.pid)
        await service.post(bind)
        disk.full = True
        with pytest.raises(errors.UnwritableLog):
            await service.post(events.SlicesRequested((ask("other", "1g.5gb"),)))
        with pytest.raises(errors.UnwritableLog):
            await service.post(events.LeaseReleased(lease.lease_id))
        kernel.kill()
        kernel.wait()
        assert lease.state is LeaseState.BOUND
        assert home.instances == 1
        disk.full = False
        await changed_to(service, lease, LeaseState.RELEASED)
        assert service.state.leases == {}
        await released(service, await granted(service, "after"))
    assert home.instances == 0


async def test_nothing_is_made_before_its_place_is_in_the_log(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up between a request and the choice of its place: whoever asks meanwhile is
    refused, and with room again the instance is made.
    """
    decide, attempts = EventLog.decide, 0

    def decided(log: EventLog, choices: Mapping[int, tuple[Choice, ...]]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise errors.UnwritableLog("The broker cannot write its log: disk is full")
        decide(log, choices)

    monkeypatch.setattr(EventLog, "decide", decided)
    async with home.started() as service:
        first = ask("k", "1g.5gb")
        asking = asyncio.ensure_future(service.post(events.SlicesRequested((first,))))

        async def under_way() -> bool:
            return attempts > 0

        await until(under_way)
        with pytest.raises(errors.UnwritableLog):
            await service.post(events.SlicesRequested((ask("other", "1g.5gb"),)))
        assert home.instances == 0
        await asking
        lease = service.find(first.lease_id)
        assert lease is not None
        await changed_to(service, lease, LeaseState.GRANTED)
        assert attempts == 3


async def test_what_could_not_be_undone_goes_later(home: Household) -> None:
    """A driver that fails half-way and then will not undo it: the slice is had all the same, and
    nothing is left when it was given back.
    """
    make = "nvmlGpuInstanceCreateComputeInstance*"
    home.node.inject(simulated.Fault(make, 999), simulated.in_use(times=10))
    async with home.started() as service:
        lease = await granted(service, "k", "3g.20gb")
        await released(service, lease)
    assert home.instances == 0


async def test_the_order_of_facts_outlives_a_full_disk(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance that was made while the disk was full is granted when it is not."""
    disk = Disk(monkeypatch)
    async with home.started() as service:
        request = ask("k", "1g.5gb")
        carry_out = service._carry_out

        def fill_then_carry_out(turn: Outcome) -> None:
            disk.full = any(isinstance(each, actions.CreateInstance) for each in turn.todo)
            carry_out(turn)

        monkeypatch.setattr(service, "_carry_out", fill_then_carry_out)
        await service.post(events.SlicesRequested((request,)))
        lease = service.find(request.lease_id)
        assert lease is not None

        async def made() -> bool:
            return any(isinstance(one.event, events.InstanceCreated) for one in service._queue)

        await until(made)
        assert lease.state is LeaseState.CREATING
        disk.full = False
        await changed_to(service, lease, LeaseState.GRANTED)
        await released(service, lease)


async def test_the_log_is_shortened_now_and_then(home: Household) -> None:
    """It does not grow for ever, and what it says stays the same."""
    home.settings = home.settings.__class__(snapshot_every=10)
    async with home.started() as service:
        for number in range(20):
            await released(service, await granted(service, f"k{number}"))
        database = sqlite3.connect(home.log)
        (count,) = database.execute("SELECT count(*) FROM events").fetchone()
        database.close()
        assert count < 30
        ended = set(service.state.ended)
    async with home.started() as service:
        assert set(service.state.ended) == ended


async def test_a_quiet_node_writes_nothing(home: Household) -> None:
    """Looking again and seeing the same is no event."""
    async with home.started() as service:
        await service._observe_all()
        before = service._since_snapshot
        await service._observe_all()
        assert service._since_snapshot == before
        home.node.create(0, "1g.5gb")
        await service._observe_all()
        assert service._since_snapshot == before + 1


async def test_an_instance_that_vanishes_is_noticed(home: Household) -> None:
    """An admin destroys a slice behind our back: its lease is over at the next look."""
    async with home.started() as service:
        lease = await granted(service, "k")
        home.node.destroy(home.node.mig_uuids[0])
        await service._observe_all()
        assert lease.state is LeaseState.RELEASED


async def test_static_instances_are_handed_out_and_stay(home: Household) -> None:
    """Without the right to create, what exists is lent and never destroyed."""
    home.inventory = "static"
    uuid = home.node.create(0, "1g.5gb")
    async with home.started() as service:
        lease = await granted(service, "k")
        refused = await service.post(events.SlicesRequested((ask("l", "1g.5gb", 0),)))
        assert any(isinstance(action, actions.Refuse) for action in refused)
        await service.post(events.LeaseReleased(lease.lease_id))
        await changed_to(service, lease, LeaseState.RELEASED)
        assert home.node.mig_uuids == (uuid,)
        await granted(service, "m")


async def test_instances_of_a_lost_log_stay_untouched(home: Household) -> None:
    """After a corrupt log somebody may hold what is there: it is neither lent nor destroyed."""
    async with home.started() as service:
        await granted(service, "k")
    home.log.write_bytes(b"nothing that could be read" * 100)
    for inventory in ("dynamic", "static"):
        home.inventory = inventory
        async with home.started() as service:
            (place,) = service.state.instances.values()
            assert place.state.value == "outside"
            if inventory == "static":
                refused = await service.post(events.SlicesRequested((ask("l", "1g.5gb", 0),)))
                assert any(isinstance(action, actions.Refuse) for action in refused)
        assert home.instances == 1
    assert len(list(home.log.parent.glob("*.corrupt-*"))) > 0


async def test_a_gpu_that_fails_to_answer_ends_no_lease(home: Household) -> None:
    """Lost while held, lost while a broker starts, found again: the lease lives through it."""
    async with home.started() as service:
        lease = await granted(service, "k")
        home.node.lose(0)
        with pytest.raises(errors.GpuLost):
            await asyncio.to_thread(home.driver.gpus)
        await service._observe_all()
        assert lease.state is LeaseState.GRANTED
    async with home.started() as service:
        (lease,) = service.state.leases.values()
        assert lease.state is LeaseState.GRANTED
        home.node.recover(0)
        await service._observe_all()
        assert lease.state is LeaseState.GRANTED
        await released(service, lease)


async def test_without_any_gpu_there_is_no_service(home: Household) -> None:
    """A node whose only GPU is lost, and of which nothing is known, says why it cannot serve."""
    home.node.lose(0)
    async with home.service() as service:
        with pytest.raises(errors.GpuLost):
            await service.start()


async def test_a_bug_ends_the_service(home: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    """What must not happen in the ledger stops everything: the next broker replays the log."""
    async with home.service() as service:
        await service.start()

        def broken(event: object, at: float) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(service._ledger, "handle", broken)
        service.tell(events.HolderLeft(holder_of_pid(os.getpid())))
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(service.failed, 60)
