"""What happened to leases, for administrators: who, what, when, why, and which slice was whose from
when to when. MIG UUIDs are used again, so a dashboard needs to know the time as well.

A database of its own: the log is the broker's memory and is shortened, this is kept, but for what
is older than an administrator wants. Otherwise entries are only added. Written by a thread; a full
disk loses entries, never a lease, and the gap is told.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from threading import Event, Thread

import msgspec

from jupyter_mig.wire.administration import Entry, Interval

log = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
  number INTEGER PRIMARY KEY, at REAL NOT NULL, what TEXT NOT NULL, uid INTEGER, lease TEXT,
  size TEXT, label TEXT, mig_uuid TEXT, gpu_uuid TEXT, reason TEXT, by_uid INTEGER);
CREATE INDEX IF NOT EXISTS entries_at ON entries (at);
CREATE TABLE IF NOT EXISTS intervals (
  lease TEXT PRIMARY KEY, uid INTEGER NOT NULL, size TEXT, mig_uuid TEXT NOT NULL,
  gpu_uuid TEXT NOT NULL, since REAL NOT NULL, until REAL, reason TEXT);
CREATE INDEX IF NOT EXISTS intervals_since ON intervals (since);
"""

_MOST_AT_ONCE = 5000
"""Rows removed in one transaction: those who read or write wait for its end."""

_FORGET = (
    "DELETE FROM entries WHERE number IN (SELECT number FROM entries WHERE at < ? LIMIT ?)",
    "DELETE FROM intervals WHERE lease IN (SELECT lease FROM intervals WHERE until < ? LIMIT ?)",
)

_Write = Callable[[sqlite3.Connection], object]


class Annals:
    """The open database. ``note``, ``begin`` and ``end`` return at once."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lost = 0
        self._todo: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        with self._open() as database:
            database.executescript(_TABLES)
        self._writer = Thread(target=self._write_all, name="annals", daemon=True)
        self._writer.start()

    def now(self) -> float:
        """Unix time, in seconds."""
        return self._clock()

    def note(self, entry: Entry) -> None:
        """Add an entry."""
        row = msgspec.structs.astuple(entry)
        self._todo.put(
            lambda database: database.execute(
                "INSERT INTO entries VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row
            )
        )

    def begin(self, interval: Interval) -> None:
        """From now on that slice is that lease's; saying so again changes nothing."""
        row = msgspec.structs.astuple(interval)
        self._todo.put(
            lambda database: database.execute(
                "INSERT OR IGNORE INTO intervals VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row
            )
        )

    def end(self, lease: str, reason: str) -> None:
        """It is no longer."""
        row = (self._clock(), reason, lease)
        self._todo.put(
            lambda database: database.execute(
                "UPDATE intervals SET until = ?, reason = ? WHERE lease = ? AND until IS NULL", row
            )
        )

    def end_all_but(self, live: frozenset[str]) -> None:
        """A broker that comes back: leases that are not live ended meanwhile, nobody saw when."""
        now = self._clock()

        def write(database: sqlite3.Connection) -> None:
            open_ones = database.execute("SELECT lease FROM intervals WHERE until IS NULL")
            gone = [(now, lease) for (lease,) in open_ones.fetchall() if lease not in live]
            database.executemany(
                "UPDATE intervals SET until = ?, reason = 'ended while no broker ran, by now'"
                " WHERE lease = ?",
                gone,
            )

        self._todo.put(write)

    def forget(self, before: float) -> None:
        """Remove what was over by then, and tell; intervals that are still open stay."""
        self._forget(before, 0)

    def _forget(self, before: float, gone: int) -> None:
        def write(database: sqlite3.Connection) -> None:
            now = [database.execute(part, (before, _MOST_AT_ONCE)).rowcount for part in _FORGET]
            if max(now) == _MOST_AT_ONCE:
                self._forget(before, gone + sum(now))
            elif gone + sum(now):
                reason = f"{gone + sum(now)} rows of before {_date(before)} were removed"
                self.note(Entry(self._clock(), "shortened", reason=reason))

        self._todo.put(write)

    def settle(self, seconds: float = 5.0) -> None:
        """Wait until what has been said so far is written, or could not be. Blocks."""
        done = Event()
        self._todo.put(lambda _: done.set())
        done.wait(seconds)

    def entries(self, since: float = 0.0, most: int = 10_000) -> list[Entry]:
        """The latest since then, the oldest first. Blocks."""
        with self._open() as database:
            rows = database.execute(
                "SELECT at, what, uid, lease, size, label, mig_uuid, gpu_uuid, reason, by_uid"
                " FROM entries WHERE at >= ? ORDER BY number DESC LIMIT ?",
                (since, most),
            ).fetchall()
        return [Entry(*row) for row in reversed(rows)]

    def intervals(self, since: float = 0.0, until: float | None = None) -> list[Interval]:
        """Those that had begun before ``until`` and were not over at ``since``. Blocks."""
        with self._open() as database:
            rows = database.execute(
                "SELECT * FROM intervals WHERE (until IS NULL OR until >= ?) AND since <= ?"
                " ORDER BY since",
                (since, self._clock() if until is None else until),
            ).fetchall()
        return [Interval(*row) for row in rows]

    def close(self) -> None:
        """Write what is there to write."""
        self._todo.put(None)
        self._writer.join()

    def _open(self) -> _Closing:
        return _Closing(self._path)

    def _write_all(self) -> None:
        while (write := self._todo.get()) is not None:
            try:
                with self._open() as database:
                    self._tell_of_gap(database)
                    write(database)
            except sqlite3.Error as error:  # noqa: PERF203 - one failed write is no end
                if not self._lost:
                    log.exception("The annals cannot be written: %s", error)  # noqa: TRY401
                self._lost += 1

    def _tell_of_gap(self, database: sqlite3.Connection) -> None:
        if self._lost:
            database.execute(
                "INSERT INTO entries (at, what, reason) VALUES (?, 'gap', ?)",
                (self._clock(), f"{self._lost} entries could not be written before this one"),
            )
            self._lost = 0


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).date().isoformat()


class _Closing:
    """A connection for one transaction: sqlite3's own context manager leaves it open."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        self._database = sqlite3.connect(self._path)
        return self._database

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._database.commit()
        self._database.close()
