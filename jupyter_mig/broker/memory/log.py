"""The event log: the broker's memory, in SQLite.

An append-only table of events, the choices that they led to, and a snapshot that stands for all
events up to its number.

``synchronous=NORMAL`` in WAL mode survives the death of the process; a power failure may lose the
last commits, but then the boot id voids instances and leases anyway.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.seam import Seam
from jupyter_mig.core.choices import Choice
from jupyter_mig.core.events import AnyEvent

SCHEMA_VERSION = 1

_TABLES = (
    "CREATE TABLE header (schema_version INTEGER, boot_id TEXT, created TEXT, predecessor TEXT)",
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, at_seconds REAL NOT NULL, event TEXT NOT NULL)",
    "CREATE TABLE snapshot (seq INTEGER NOT NULL, state TEXT NOT NULL)",
)
_CHOICES = "CREATE TABLE IF NOT EXISTS choices (seq INTEGER PRIMARY KEY, choices TEXT NOT NULL)"
"""Came later: older logs have none, older brokers leave the table alone."""

_events: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_choices = msgspec.json.Decoder(tuple[Choice, ...])


class Record(NamedTuple):
    """An event, when it happened, in seconds on ``CLOCK_BOOTTIME``, and the choices made then."""

    at_seconds: float
    event: AnyEvent
    choices: tuple[Choice, ...] = ()


class History(NamedTuple):
    """What a log holds: a state, if the log was ever shortened, and what happened since."""

    snapshot: bytes | None
    records: list[Record]


class EventLog:
    """An open log. Its calls block; after opening, one thread makes them all.

    Raises CorruptLog if the file does not read back, UnwritableLog if it cannot be written.
    """

    def __init__(self, path: Path, seam: Seam, boot_id: str, predecessor: str = "") -> None:
        self.path = path
        self._seam = seam
        with self._telling():
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with self._telling():
                self._begin(boot_id, predecessor)
                self._seq = self._last_seq()
        except errors.LogError:
            self._database.close()
            raise

    @property
    def predecessor(self) -> str:
        """The name of the unreadable log that this one replaced, if it did."""
        (name,) = self._database.execute("SELECT predecessor FROM header").fetchone()
        return str(name)

    def read(self) -> History:
        """Everything in it."""
        with self._telling():
            # As bytes: text that is no UTF-8 would look like a failure to read.
            snapshot = self._database.execute("SELECT CAST(state AS BLOB) FROM snapshot").fetchone()
            rows = self._database.execute(
                "SELECT at_seconds, CAST(event AS BLOB), CAST(ifnull(choices, '[]') AS BLOB)"
                " FROM events LEFT JOIN choices USING (seq) WHERE seq > ? ORDER BY seq",
                (self._snapshot_seq(),),
            ).fetchall()
        try:
            records = [
                Record(at, _events.decode(event), _choices.decode(choices))
                for at, event, choices in rows
            ]
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise self._corrupt(error) from error
        return History(snapshot[0] if snapshot else None, records)

    def append(self, records: Sequence[Record]) -> int:
        """Add events in one commit, all of them or none; the number of the first.

        Their choices come later: :meth:`decide`.
        """
        self._seam.reached("before log write")
        rows = [
            (self._seq + number, record.at_seconds, msgspec.json.encode(record.event).decode())
            for number, record in enumerate(records, start=1)
        ]
        with self._transaction():
            self._database.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
        self._seq += len(rows)
        self._seam.reached("after log write")
        return self._seq - len(rows) + 1

    def decide(self, choices: Mapping[int, tuple[Choice, ...]]) -> None:
        """Add the choices that events led to, by the events' numbers."""
        self._seam.reached("before choices")
        rows = [(seq, msgspec.json.encode(made).decode()) for seq, made in choices.items()]
        with self._transaction():
            self._database.executemany("INSERT INTO choices VALUES (?, ?)", rows)
        self._seam.reached("after choices")

    def shorten(self, state: bytes) -> None:
        """Replace all events so far by the state that they led to."""
        self._seam.reached("before snapshot")
        with self._transaction():
            self._database.execute("DELETE FROM snapshot")
            self._database.execute(
                "INSERT INTO snapshot VALUES (?, ?)", (self._seq, state.decode())
            )
            self._database.execute("DELETE FROM events WHERE seq <= ?", (self._seq,))
            self._database.execute("DELETE FROM choices WHERE seq <= ?", (self._seq,))
        self._seam.reached("after snapshot")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _begin(self, boot_id: str, predecessor: str) -> None:
        """Check what is there, or lay out a new log."""
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        names = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master")}
        if not names:
            self._lay_out(boot_id, predecessor)
        elif not {"header", "events", "snapshot"} <= names:
            raise self._corrupt("it has other tables")
        self._check()
        self._database.execute(_CHOICES)

    def _lay_out(self, boot_id: str, predecessor: str) -> None:
        with self._transaction():
            for table in _TABLES:
                self._database.execute(table)
            self._database.execute(
                "INSERT INTO header VALUES (?, ?, datetime('now'), ?)",
                (SCHEMA_VERSION, boot_id, predecessor),
            )

    def _check(self) -> None:
        (verdict,) = self._database.execute("PRAGMA quick_check").fetchone()
        if verdict != "ok":
            raise self._corrupt(verdict)
        header = self._database.execute("SELECT schema_version FROM header").fetchall()
        if header != [(SCHEMA_VERSION,)]:
            raise self._corrupt(f"its schema is not version {SCHEMA_VERSION}")

    def _last_seq(self) -> int:
        (seq,) = self._database.execute("SELECT max(seq) FROM events").fetchone()
        return max(seq or 0, self._snapshot_seq())

    def _snapshot_seq(self) -> int:
        (seq,) = self._database.execute("SELECT max(seq) FROM snapshot").fetchone()
        return seq or 0

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._telling():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            finally:
                # Still open: something above raised. A full disk may have ended it already.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """SQLite's errors as ours: what the system refused is operational, the rest is damage."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise errors.UnwritableLog(
                f"The broker cannot write its log: {error}",
                situation=f"The log is {self.path}.",
                next_step="Make room on that disk, or make it writable; then try again.",
            ) from error
        except (sqlite3.DatabaseError, UnicodeError) as error:
            raise self._corrupt(error) from error

    def _corrupt(self, reason: object) -> errors.CorruptLog:
        return errors.CorruptLog(
            f"The event log does not read back: {reason}", situation=f"The log is {self.path}."
        )
