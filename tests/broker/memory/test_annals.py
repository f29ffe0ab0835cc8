"""What administrators can look up later."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from jupyter_mig.broker.memory.annals import Annals
from jupyter_mig.broker.memory.forgetting import DAY_SECONDS, keep_short
from jupyter_mig.broker.memory.witness import Chronicler
from jupyter_mig.core import events
from jupyter_mig.core.leases import Lease, LeaseState
from jupyter_mig.wire.administration import Entry, Interval
from tests import disks
from tests.broker.households import Household, ask, changed_to, emptied, household

MIG = "MIG-1"


@pytest.fixture
def annals(tmp_path: Path) -> Annals:
    """On a clock that is a second later each time."""
    ticks = itertools.count(1000)
    return Annals(tmp_path / "annals.sqlite", clock=lambda: float(next(ticks)))


def _interval(lease: str, since: float, mig_uuid: str = MIG) -> Interval:
    return Interval(lease, 1000, "1g.5gb", mig_uuid, "GPU-1", since, None, None)


def test_a_gap_is_told(tmp_path: Path) -> None:
    """By the first entry after it."""
    annals = Annals(tmp_path / "annals.sqlite")
    annals._todo.put(lambda database: database.execute("INSERT INTO nowhere VALUES (1)"))
    annals.note(Entry(1.0, "after"))
    annals.close()
    gap, after = annals.entries()
    assert (gap.what, after.what) == ("gap", "after")
    assert gap.reason == "1 entries could not be written before this one"


def test_two_tenants_of_one_mig_uuid_are_told_apart_by_time(annals: Annals) -> None:
    """UUIDs are used again: a dashboard asks whose it was, and when."""
    annals.begin(_interval("first", 10))
    annals.end("first", "released")
    annals.begin(_interval("second", 2000))
    annals.close()
    first, second = annals.intervals(until=3000)
    assert (first.lease, first.mig_uuid, first.until, first.reason) == (
        "first",
        MIG,
        1000,
        "released",
    )
    assert (second.lease, second.mig_uuid, second.until) == ("second", MIG, None)
    assert [each.lease for each in annals.intervals(until=1500)] == ["first"]
    assert [each.lease for each in annals.intervals(since=1500, until=3000)] == ["second"]


def test_who_ended_while_no_broker_ran_is_over(annals: Annals) -> None:
    """Nobody saw when; the reason says so."""
    annals.begin(_interval("gone", 10))
    annals.begin(_interval("live", 10))
    annals.end_all_but(frozenset({"live"}))
    annals.close()
    gone, live = annals.intervals()
    assert (gone.until, live.until) == (1000, None)
    assert gone.reason == "ended while no broker ran, by now"


def test_an_entry_comes_back_as_it_went_in(annals: Annals) -> None:
    """Also what no lease is about."""
    entries = [
        Entry(1.0, "granted", 1000, "l", "1g.5gb", "a.ipynb", MIG, "GPU-1"),
        Entry(2.0, "revoked", 1000, "l", reason="maintenance; at 10", by_uid=0),
        Entry(3.0, "broker-started"),
    ]
    for entry in entries:
        annals.note(entry)
    annals.close()
    assert annals.entries() == entries
    assert annals.entries(since=2.0, most=1) == entries[2:]


def test_a_full_disk_loses_entries_and_nothing_else(tmp_path: Path) -> None:
    """Nobody waits for the annals, and no lease is lost for them."""
    with disks.small_disk(tmp_path / "disk", "1m") as disk:
        annals = Annals(disk / "annals.sqlite")
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"0" * 10_000_000)
        for number in range(50):
            annals.note(Entry(float(number), "granted", label="x" * 4096))
        annals.close()
        filler.unlink()
        kept = len(annals.entries())
        again = Annals(disk / "annals.sqlite")
        again.note(Entry(51.0, "after"))
        again.close()
        assert kept < 50
        assert again.entries()[-1].what == "after"


async def test_a_lease_leaves_its_trace(tmp_path: Path) -> None:
    """From the grant to the end, with its slice."""
    annals = Annals(tmp_path / "annals.sqlite")
    with household(tmp_path) as home:
        home.witness = Chronicler(annals)
        lease = await _granted_and_released(home)
    annals.close()
    (interval,) = annals.intervals()
    assert (interval.lease, interval.uid) == (lease.lease_id, lease.owner)
    assert interval.mig_uuid.startswith("MIG-")
    assert interval.until is not None
    assert interval.until >= interval.since
    _, *told = annals.entries()
    assert [(each.what, each.mig_uuid) for each in told] == [
        ("granted", interval.mig_uuid),
        ("ended", interval.mig_uuid),
    ]


async def _granted_and_released(home: Household) -> Lease:
    async with home.started() as service:
        asked = ask("k", "1g.5gb")
        await service.post(events.SlicesRequested((asked,)))
        lease = service.find(asked.lease_id)
        assert lease is not None
        await changed_to(service, lease, LeaseState.GRANTED)
        await service.post(events.LeaseReleased(lease.lease_id))
        await emptied(service)
        return lease


def test_what_is_too_old_is_forgotten_and_that_is_told(annals: Annals) -> None:
    """Not what happened since, nor whose slice it still is."""
    for at in (1.0, 2.0, 500.0):
        annals.note(Entry(at, "granted"))
    annals.begin(_interval("over", 1))
    annals.end("over", "released")  # at 1000
    annals.begin(_interval("open", 1))
    annals.forget(before=100.0)
    annals.settle()
    assert [each.lease for each in annals.intervals()] == ["over", "open"]
    annals.forget(before=1001.0)
    annals.close()
    assert [each.lease for each in annals.intervals()] == ["open"]
    told = [each.reason for each in annals.entries()]
    assert told == ["2 rows of before 1970-01-01 were removed"]


def test_much_is_forgotten_a_part_at_a_time(
    annals: Annals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others can write in between; the end is the same."""
    monkeypatch.setattr("jupyter_mig.broker.memory.annals._MOST_AT_ONCE", 3)
    for at in range(10):
        annals.note(Entry(float(at), "granted"))
    annals.forget(before=8.0)
    annals.settle()
    annals.note(Entry(9.5, "granted"))
    annals.settle()
    annals.settle()
    annals.close()
    assert [each.at for each in annals.entries() if each.what == "granted"] == [8.0, 9.0, 9.5]


class _Asked(Annals):
    """Says when it has been asked twice to forget."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, clock=lambda: 1000.0)
        self.asked: list[float] = []
        self.twice = asyncio.Event()

    def forget(self, before: float) -> None:
        """It is asked."""
        self.asked.append(before)
        if len(self.asked) == 2:
            self.twice.set()


async def test_a_broker_forgets_when_it_starts_and_from_day_to_day(tmp_path: Path) -> None:
    """By the clock of the annals; 0 days keep all."""
    annals = _Asked(tmp_path / "annals.sqlite")
    await keep_short(annals, 0)
    assert annals.asked == []
    forgetting = asyncio.ensure_future(keep_short(annals, 900 / DAY_SECONDS, 0.01))
    await asyncio.wait_for(annals.twice.wait(), 60)
    forgetting.cancel()
    annals.close()
    assert annals.asked[:2] == pytest.approx([100.0, 100.0])
