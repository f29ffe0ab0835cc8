"""What the node's broker has recorded: what happened, and which slice was whose."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterable

import msgspec

from jupyter_mig.cli.admin import asking, moments
from jupyter_mig.cli.admin.asking import Verbs
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.table import Column
from jupyter_mig.client.administrator import Administrator
from jupyter_mig.wire.administration import AuditView, IntervalView

_AUDIT = (
    Column("TIME"),
    Column("WHAT"),
    Column("USER", least=6),
    Column("SIZE"),
    Column("BY"),
    Column("NOTEBOOK", least=8, tail=True),
    Column("REASON", least=10),
    Column("MIG UUID", least=8),
    Column("LEASE", least=8),
)
_INTERVALS = (
    Column("SINCE"),
    Column("UNTIL"),
    Column("USER", least=6),
    Column("SIZE"),
    Column("MIG UUID", least=8),
    Column("GPU UUID", least=8),
    Column("LEASE", least=8),
    Column("REASON", least=8),
)


def verbs(below: Verbs) -> None:
    """``audit`` and ``intervals``."""
    auditing = asking.verb(below, "audit", "who did what, when and why", audit)
    listing = asking.verb(below, "intervals", "which slice was whose, from when to when", intervals)
    for verb in (auditing, listing):
        verb.add_argument("--since", metavar="WHEN", help="24h, 7d, a date, or Unix time")
    listing.add_argument("--until", metavar="WHEN", help="the same; otherwise now")
    listing.add_argument("--csv", action="store_true", help="print CSV, times in Unix time")


def audit(arguments: argparse.Namespace) -> int:
    """Print the audit log."""
    since = _moment(arguments.since) or 0.0
    nothing = "Nothing is on record."
    return asking.show(arguments, lambda each: each.audit(since), _AUDIT, _entry, nothing)


def intervals(arguments: argparse.Namespace) -> int:
    """Print the intervals."""
    since, until = _moment(arguments.since) or 0.0, _moment(arguments.until)

    async def question(administrator: Administrator) -> list[IntervalView]:
        return await administrator.intervals(since, until)

    if arguments.csv:
        _write_csv(asking.ask(question))
        return Exit.DONE
    nothing = "Nobody had a slice then."
    return asking.show(arguments, question, _INTERVALS, _interval, nothing)


def _moment(text: str | None) -> float | None:
    return None if text is None else moments.parse(text, time.time())


def _write_csv(found: Iterable[IntervalView]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(field.name for field in msgspec.structs.fields(IntervalView))
    writer.writerows(msgspec.structs.astuple(each) for each in found)


def _entry(entry: AuditView) -> list[str]:
    return [
        moments.shown(entry.at),
        entry.what,
        _who(entry.user, entry.uid),
        entry.size or "-",
        _who(entry.by, entry.by_uid),
        entry.label or "-",
        entry.reason or "-",
        entry.mig_uuid or entry.gpu_uuid or "-",
        entry.lease or "-",
    ]


def _interval(interval: IntervalView) -> list[str]:
    return [
        moments.shown(interval.since),
        "-" if interval.until is None else moments.shown(interval.until),
        _who(interval.user, interval.uid),
        interval.size,
        interval.mig_uuid,
        interval.gpu_uuid,
        interval.lease,
        interval.reason or "-",
    ]


def _who(name: str, uid: int | None) -> str:
    return name or ("-" if uid is None else str(uid))
