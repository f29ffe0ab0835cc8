from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_mig import errors
from jupyter_mig.broker.memory.log import EventLog, History, Record
from jupyter_mig.broker.seam import Uninterrupted
from jupyter_mig.core import events
from jupyter_mig.core.choices import Choice
from jupyter_mig.core.geometry import Gpu, Identity, Instance, Spec
from jupyter_mig.core.leases import Holder
from tests import disks

NAMES = st.text(max_size=20)
SECONDS = st.floats(min_value=0, max_value=1e9)
IDENTITIES = st.builds(
    Identity, st.integers(0, 14), st.none() | st.integers(0, 7), st.none() | NAMES
)
INSTANCES = st.builds(
    Instance,
    st.builds(Spec, NAMES, st.integers(0, 20), st.none() | st.integers(0, 11)),
    IDENTITIES,
    NAMES,
    st.integers(0, 2**50),
    st.none() | st.lists(st.integers(1, 2**22), max_size=3).map(tuple),
)
GPUS = st.builds(
    Gpu, NAMES, st.integers(0, 31), NAMES, st.integers(0, 31), st.just(1), st.booleans()
)
HOLDERS = NAMES.map(Holder)
ASKS = st.builds(
    events.Ask, NAMES, NAMES, st.integers(0, 2**31), HOLDERS, NAMES, NAMES, st.none() | SECONDS
)
EVENTS = st.one_of(
    st.builds(events.SlicesRequested, st.lists(ASKS, max_size=3).map(tuple)),
    st.builds(events.LeaseBound, NAMES, HOLDERS, st.none() | st.integers(1, 2**22)),
    st.builds(events.HolderLeft, HOLDERS),
    st.builds(events.InstanceCreated, NAMES, IDENTITIES),
    st.builds(events.CreateFailed, NAMES, NAMES, st.booleans()),
    st.builds(events.GpuObserved, GPUS, st.booleans(), st.lists(INSTANCES, max_size=3).map(tuple)),
    st.just(events.TimePassed()),
)
CHOICES = st.builds(Choice, NAMES, st.builds(Spec, NAMES, st.integers(0, 20), st.integers(0, 11)))
RECORDS = st.lists(
    st.builds(Record, SECONDS, EVENTS, st.lists(CHOICES, max_size=2).map(tuple)), max_size=10
)


def opened(path: Path) -> EventLog:
    """A log with nobody at its seam."""
    return EventLog(path, Uninterrupted(), "boot")


def left(number: int) -> Record:
    """An event that can be told from others."""
    return Record(float(number), events.HolderLeft(Holder(str(number))))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log shall be."""
    return tmp_path / "log.sqlite"


@given(batches=st.lists(RECORDS, max_size=4))
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_appended_reads_back(batches: list[list[Record]], tmp_path: Path) -> None:
    """Events, times and choices come back exactly and in order, also from a reopened file."""
    file = tmp_path / f"{os.urandom(8).hex()}.sqlite"
    log = opened(file)
    for batch in batches:
        for seq, record in enumerate(batch, log.append(batch)):
            if record.choices:
                log.decide({seq: record.choices})
    log.close()
    again = opened(file)
    assert again.read() == History(None, [record for batch in batches for record in batch])
    again.close()


def test_a_snapshot_stands_for_all_before_it(path: Path) -> None:
    """After shortening, only the state and what came later are left, in order."""
    log = opened(path)
    log.append([left(1), left(2)])
    log.shorten(b'{"a":1}')
    log.close()
    log = opened(path)
    log.decide({log.append([left(3)]): (Choice("l", Spec("GPU-0", 19, 6)),)})
    log.shorten(b'{"a":2}')
    log.append([left(4)])
    assert log.read() == History(b'{"a":2}', [left(4)])
    log.close()


def test_events_left_beside_their_snapshot_are_not_lived_twice(path: Path) -> None:
    """Numbers, not presence, decide what a snapshot covers."""
    log = opened(path)
    log.append([left(1)])
    log.shorten(b"{}")
    log.close()
    with sqlite3.connect(path) as database:
        database.execute("""INSERT INTO events VALUES (1, 1.0, '{"event":"TimePassed"}')""")
    database.close()
    log = opened(path)
    assert log.read().records == []
    log.close()


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(5000))


def _torn_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


def _no_such_event(path: Path) -> None:
    _execute(path, """INSERT INTO events VALUES (999, 1.0, '{"event":"Imagined"}')""")


def _no_utf8(path: Path) -> None:
    _execute(path, "INSERT INTO events VALUES (999, 1.0, CAST(x'ff00fe' AS TEXT))")


def _newer_version(path: Path) -> None:
    _execute(path, "UPDATE header SET schema_version = 999")


def _other_tables(path: Path) -> None:
    _execute(path, "ALTER TABLE events RENAME TO occurrences")


def _execute(path: Path, statement: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    "damage", [_garbage, _torn_page, _no_such_event, _no_utf8, _newer_version, _other_tables]
)
def test_damage_is_recognised(damage: object, path: Path) -> None:
    """Whatever does not read back as a log is a corrupt log, and nothing else."""
    log = opened(path)
    log.append([left(number) for number in range(200)])
    log.close()
    assert callable(damage)
    damage(path)
    with pytest.raises(errors.CorruptLog):  # noqa: PT012 - damage shows on opening or on reading
        log = opened(path)
        try:
            log.read()
        finally:
            log.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    with disks.small_disk(tmp_path / "disk", "1m") as mount:
        yield mount


def fill(disk: Path) -> Path:
    """Use up all room; the file that takes it."""
    filler = disk / "filler"
    file = os.open(filler, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while True:
            os.write(file, b"x" * 4096)
    os.close(file)
    return filler


def test_a_full_disk_takes_all_of_a_batch_or_nothing(small_disk: Path) -> None:
    """When the disk is full nothing of a batch is kept; with room again the log goes on."""
    log = opened(small_disk / "log.sqlite")
    log.append([left(1)])
    filler = fill(small_disk)
    with pytest.raises(errors.UnwritableLog, match="full"):
        log.append([left(number) for number in range(2, 3000)])
    filler.unlink()
    log.append([left(2)])
    assert log.read().records == [left(1), left(2)]
    log.close()


def test_a_read_only_disk_is_said_to_be_one(small_disk: Path) -> None:
    """A log that cannot be written is no corrupt log."""
    opened(small_disk / "log.sqlite").close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(errors.UnwritableLog):
        opened(small_disk / "log.sqlite").append([left(1)])
