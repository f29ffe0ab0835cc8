from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from jupyter_mig.broker.memory.log import EventLog, Record
from jupyter_mig.broker.memory.recovery import recover, set_aside
from jupyter_mig.broker.seam import Uninterrupted
from jupyter_mig.core import events
from jupyter_mig.core.geometry import Gpu, Identity, Spec
from jupyter_mig.core.leases import Holder
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.rules import Rules
from tests.core.another_rule import another_rule
from tests.core.nodes import A100

RULES = Rules()
PAST = [
    Record(1.0, events.BrokerStarted("boot")),
    Record(
        2.0,
        events.SlicesRequested(
            (events.Ask("l", "k", 0, Holder("1:1"), "1g.5gb", patience_seconds=None),)
        ),
    ),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log with a past."""
    log = EventLog(tmp_path / "log.sqlite", Uninterrupted(), "boot")
    log.append(PAST)
    log.close()
    return tmp_path / "log.sqlite"


def recovered(path: Path) -> tuple[Ledger, str]:
    """The ledger that a log leads to, and the name of the log that it replaced."""
    log, ledger = recover(path, RULES, "boot", Uninterrupted())
    predecessor = log.predecessor
    log.close()
    return ledger, predecessor


def test_the_state_is_the_replay_of_the_log(path: Path) -> None:
    """A recovered ledger equals one that lived through the same events."""
    lived = Ledger(RULES)
    for record in PAST:
        lived.handle(record.event, record.at_seconds)
    assert recovered(path)[0].state == lived.state


def test_a_snapshot_and_the_rest_lead_to_the_same_state(path: Path) -> None:
    """Shortening a log does not change what it says."""
    before = recovered(path)[0]
    log = EventLog(path, Uninterrupted(), "boot")
    log.shorten(before.snapshot())
    more = Record(3.0, events.LeaseReleased("l"))
    log.append([more])
    log.close()
    before.handle(more.event, more.at_seconds)
    assert recovered(path)[0].state == before.state


def place_of(ledger: Ledger) -> Spec:
    """Where the one lease is."""
    place = ledger.state.place_of(ledger.state.leases["l"])
    assert place is not None
    return place.spec


GPU = Gpu("GPU-0", 0, "test GPU", 0, 1, mig_enabled=True, geometry=A100)


def test_another_rule_changes_no_place_that_was_chosen(tmp_path: Path) -> None:
    """A log written under one rule of placement and replayed under another: the instance is where
    it was made.
    """
    path = tmp_path / "log.sqlite"
    log, lived = recover(path, RULES, "boot", Uninterrupted())
    for record in (PAST[0], Record(1.5, events.GpuObserved(GPU, creates=True)), PAST[1]):
        seq = log.append([record])
        lived.handle(record.event, record.at_seconds)
        if lived.choices:
            log.decide({seq: lived.choices})
    log.close()
    with another_rule():
        assert recovered(path)[0].state == lived.state
    assert place_of(lived).start == 6


def test_other_rules_change_no_past(tmp_path: Path) -> None:
    """Killed, and configured anew: what was asked for by a name that is no more stays granted, with
    and without a snapshot; the new rules hold from the moment the next broker takes over.
    """
    path = tmp_path / "log.sqlite"
    before = Rules(names={"small": "1g.5gb"}, bind_grace=7.0)
    lived = Ledger(before)
    ask = events.Ask("l", "k", 0, Holder("1:1"), "small", patience_seconds=None)
    log = EventLog(path, Uninterrupted(), "boot")
    past: list[events.AnyEvent] = [
        events.BrokerStarted("boot", before),
        events.GpuObserved(GPU, creates=True),
        events.SlicesRequested((ask,)),
        events.InstanceCreated("i2", Identity(1, 0, "MIG-1")),
    ]
    for number, event in enumerate(past):
        lived.handle(event, float(number))
        log.decide({log.append([Record(float(number), event)]): lived.choices})
    assert lived.state.leases["l"].deadline == 3.0 + 7.0
    assert recovered(path)[0].state == lived.state
    log.shorten(lived.snapshot())
    log.close()
    ledger = recovered(path)[0]
    assert ledger.state == lived.state
    assert ledger.rules == before
    ledger.handle(events.BrokerStarted("boot", ledger.given), 4.0)
    assert ledger.rules == RULES


def test_what_was_not_decided_yet_is_decided_once(tmp_path: Path) -> None:
    """Killed between event and choice, or a log older than choices: nothing was done about it yet,
    so any rule may choose; from then on it stands.
    """
    path = tmp_path / "log.sqlite"
    log = EventLog(path, Uninterrupted(), "boot")
    log.append([PAST[0], Record(1.5, events.GpuObserved(GPU, creates=True)), PAST[1]])
    log.close()
    with another_rule():
        first = place_of(recovered(path)[0])
    assert place_of(recovered(path)[0]) == first
    assert first.start == 0


def test_a_log_older_than_choices_is_read(path: Path) -> None:
    """The table for them is made."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("DROP TABLE choices")
    database.close()
    assert list(recovered(path)[0].state.leases) == []


def test_an_unreadable_log_is_set_aside(path: Path) -> None:
    """It is renamed with all it says, and a new one knows its name, now and later."""
    content = b"no log at all" * 100
    path.write_bytes(content)
    ledger, predecessor = recovered(path)
    assert ledger.state == Ledger(RULES).state
    assert (path.parent / predecessor).read_bytes() == content
    assert recovered(path)[1] == predecessor


def test_a_snapshot_that_is_no_state_is_corrupt(path: Path) -> None:
    """A log whose past cannot be lived through again is set aside, too."""
    log = EventLog(path, Uninterrupted(), "boot")
    log.shorten(b'{"counter": "many"}')
    log.close()
    assert recovered(path)[1].startswith("log.sqlite.corrupt-")


def test_nothing_is_overwritten_when_logs_are_set_aside(tmp_path: Path) -> None:
    """Three unreadable logs within one second are three files."""
    kept = set()
    for number in range(3):
        path = tmp_path / "log.sqlite"
        path.write_text(str(number))
        path.with_name("log.sqlite-wal").write_text(f"wal {number}")
        kept.add(set_aside(path))
    assert sorted(file.read_text() for file in kept) == ["0", "1", "2"]
    assert len(list(tmp_path.glob("*-wal"))) == 3
