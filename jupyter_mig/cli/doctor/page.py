"""The findings as lines: problems first, each with its remedy; then what is in order."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from jupyter_mig.cli.cells import printable
from jupyter_mig.cli.doctor.examination import Report
from jupyter_mig.cli.doctor.finding import Finding, Level
from jupyter_mig.cli.label import heading
from jupyter_mig.cli.measures import counted
from jupyter_mig.cli.terminal import Ink, Terminal

_INDENT = " " * 9
_WIDEST = 100
_INKS = {Level.PROBLEM: Ink.WRONG, Level.NOTE: Ink.WARNING, Level.OK: Ink.FREE}


def lines(report: Report, terminal: Terminal) -> Iterator[str]:
    """The whole page."""
    yield from heading(terminal, simulated=report.simulated)
    for level in (Level.PROBLEM, Level.NOTE, Level.OK):
        for finding in report.findings:
            if finding.level is level:
                yield from _finding(finding, terminal)
    problems = sum(finding.level is Level.PROBLEM for finding in report.findings)
    yield f"{counted(problems, 'problem')}." if problems else "No problems found."


def _finding(finding: Finding, terminal: Terminal) -> Iterator[str]:
    mark = terminal.paint(f"{finding.level.value:<9}", _INKS[finding.level])
    first, *rest = _wrapped(f"{finding.about}: {finding.seen}", terminal)
    yield mark + first
    for line in rest:
        yield _INDENT + line
    for part in finding.fix.splitlines():
        for line in _wrapped(part, terminal):
            yield _INDENT + terminal.paint(line, Ink.STRONG)
    if finding.page:
        yield _INDENT + terminal.paint(f"The manual: {finding.page}", Ink.FAINT)


def _wrapped(text: str, terminal: Terminal) -> list[str]:
    """In as many lines as it needs; words (paths, commands) are never broken."""
    room = min(terminal.breadth, _WIDEST) - len(_INDENT)
    return textwrap.wrap(
        printable(text), max(room, 20), break_on_hyphens=False, break_long_words=False
    )
