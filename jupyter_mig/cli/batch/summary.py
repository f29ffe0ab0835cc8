"""What became of the jobs, as a table."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

from jupyter_mig.cli import table
from jupyter_mig.cli.batch.jobs import Outcome
from jupyter_mig.cli.measures import counted, duration
from jupyter_mig.cli.table import Column
from jupyter_mig.cli.terminal import Terminal

_COLUMNS = (
    Column("JOB", right=True),
    Column("SIZE"),
    Column("STATE"),
    Column("EXIT", right=True),
    Column("WAITED", right=True),
    Column("RAN", right=True),
    Column("COMMAND", least=12),
)


def lines(outcomes: Sequence[Outcome], terminal: Terminal) -> list[str]:
    """A row a job, and how many ended how."""
    counts = Counter(one.state for one in outcomes)
    total = ", ".join(f"{count} {state}" for state, count in counts.items())
    rows = [_row(one) for one in outcomes]
    return [*table.lines(_COLUMNS, rows, terminal), f"{counted(len(outcomes), 'job')}: {total}."]


def _row(outcome: Outcome) -> list[str]:
    ran = outcome.exit_status is not None
    return [
        str(outcome.job),
        outcome.size,
        outcome.state,
        str(outcome.exit_status) if ran else "-",
        duration(outcome.waited_seconds) if ran else "-",
        duration(outcome.ran_seconds) if ran else "-",
        shlex.join(outcome.command),
    ]
