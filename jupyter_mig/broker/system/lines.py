"""The lines that a node's broker writes to standard error, where systemd takes them to its journal.

One event is one line, which begins with its level. What users can write into it cannot look like
another line, nor like the priority that the journal reads at a line's beginning (sd-daemon(3)).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from jupyter_mig.broker.words import seen

_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}
_DEBUG = 7


class Lines(logging.Formatter):
    """Lines without control characters. Those that go on from the one before, as in a traceback,
    are indented.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, and those that go on from it."""
        return "\n  ".join(map(seen, super().format(record).split("\n")))


class JournalLines(Lines):
    """With the priority before each."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines."""
        priority = f"<{_PRIORITIES.get(record.levelno, _DEBUG)}>"
        return priority + super().format(record).replace("\n", f"\n{priority}")


def begin(environ: Mapping[str, str]) -> None:
    """Write them from now on. ``JOURNAL_STREAM`` is there if the journal reads them."""
    kind = JournalLines if environ.get("JOURNAL_STREAM") else Lines
    handler = logging.StreamHandler()
    handler.setFormatter(kind("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
