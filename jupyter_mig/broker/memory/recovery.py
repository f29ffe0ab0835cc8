"""From the log back to the ledger; from an unreadable log to a new one beside it."""

from __future__ import annotations

import logging
from pathlib import Path
from time import strftime
from typing import NamedTuple

from jupyter_mig import errors
from jupyter_mig.broker.memory.log import EventLog
from jupyter_mig.broker.seam import Seam
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.rules import Rules

log = logging.getLogger(__name__)


class Recovered(NamedTuple):
    """A log to write on, and the ledger that its past leads to."""

    log: EventLog
    ledger: Ledger


def recover(path: Path, rules: Rules, boot_id: str, seam: Seam) -> Recovered:
    """The log at ``path`` and its ledger. A log that does not read back is set aside.

    Raises UnwritableLog if there can be no log at all.
    """
    try:
        return _recovered(EventLog(path, seam, boot_id), rules)
    except errors.CorruptLog as error:
        aside = set_aside(path)
        log.error("%s It is kept as %s. Slices it knew are not handed out.", error, aside)  # noqa: TRY400 - the message says it all
        return Recovered(EventLog(path, seam, boot_id, predecessor=aside.name), Ledger(rules))


def _recovered(event_log: EventLog, rules: Rules) -> Recovered:
    try:
        return Recovered(event_log, _replayed(event_log, rules))
    except errors.CorruptLog:
        event_log.close()
        raise


def _replayed(event_log: EventLog, rules: Rules) -> Ledger:
    """The ledger that the log leads to. What was cut off before it was decided, or has no record
    of how it was, is decided now; for good, so that the next replay does not depend on our rule.
    """
    history = event_log.read()
    decided = True
    try:
        ledger = Ledger.restore(history.snapshot, rules) if history.snapshot else Ledger(rules)
        for record in history.records:
            ledger.handle(record.event, record.at_seconds, record.choices)
            decided = decided and ledger.choices == record.choices
    except Exception as error:  # whatever it is, this past cannot be lived through again
        raise errors.CorruptLog(
            f"The event log does not replay: {error!r}", situation=f"The log is {event_log.path}."
        ) from error
    if not decided:
        event_log.shorten(ledger.snapshot())
    return ledger


def set_aside(path: Path) -> Path:
    """Rename a log and its companions; nothing is ever overwritten or deleted."""
    stamp = strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    count = 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{count}")
    path.rename(aside)
    for companion in ("-wal", "-shm"):
        beside = path.with_name(path.name + companion)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + companion))
    return aside
