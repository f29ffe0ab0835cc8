"""A record as lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jupyter_mig.cli import table
from jupyter_mig.cli.acceptance.record import Record
from jupyter_mig.cli.acceptance.trials import Trial
from jupyter_mig.cli.label import heading
from jupyter_mig.cli.measures import counted, memory
from jupyter_mig.cli.table import Column
from jupyter_mig.cli.terminal import Ink, Terminal

_COLUMNS = (
    Column("PROFILE"),
    Column("START", right=True),
    Column("WIDTH", right=True),
    Column("GI", right=True),
    Column("CREATE", right=True),
    Column("LOOK", right=True),
    Column("DESTROY", right=True),
    Column("IN USE", right=True),
    Column("OF", right=True),
    Column("RESULT"),
)


def lines(record: Record, path: Path, terminal: Terminal) -> Iterator[str]:
    """The table, the problems, what was proved and what was not."""
    yield from heading(terminal, simulated=record.simulated)
    yield f"GPU {record.gpu_index}  {record.gpu_name}, driver {record.driver_version}"
    yield from table.lines(_COLUMNS, [_row(trial) for trial in record.trials], terminal)
    for trial in record.trials:
        for problem in trial.problems:
            yield terminal.paint(f"{trial.profile} at {trial.start}: {problem}", Ink.WRONG)
    for text in record.left_behind:
        yield terminal.paint(text, Ink.WRONG)
    yield _verdict(record)
    if record.simulated:
        yield "This ran on a simulated node: it says nothing about hardware."
    calls = counted(len(record.transcript.calls), "NVML call")
    yield f"{path}: the results and {calls}, without what names this machine."


def _row(trial: Trial) -> list[str]:
    used, total = trial.memory_used_bytes, trial.memory_total_bytes
    return [
        trial.profile,
        str(trial.start),
        str(trial.width),
        "-" if trial.gi_id is None else str(trial.gi_id),
        *(
            f"{seconds * 1000:.0f} ms"
            for seconds in (trial.create_seconds, trial.observe_seconds, trial.destroy_seconds)
        ),
        "-" if used is None else memory(used),
        "-" if total is None else memory(total),
        "problem" if trial.problems else "ok",
    ]


def _verdict(record: Record) -> str:
    good = sum(not trial.problems for trial in record.trials)
    stopped = "" if record.complete else " It was stopped before the end."
    left = "Something was left behind." if record.left_behind else "Nothing was left behind."
    return f"{good} of {counted(len(record.trials), 'trial')} passed.{stopped} {left}"
