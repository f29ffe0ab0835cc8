"""Slices that nobody hands out because a process keeps their lock (decision 52)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import msgspec

from jupyter_mig.broker import processes
from jupyter_mig.cli.cells import printable
from jupyter_mig.cli.doctor.finding import Finding, note
from jupyter_mig.cli.doctor.nodes import NodeFile

_PAGE = "52. A slice is locked by whoever uses it"


class Locked(msgspec.Struct, frozen=True):
    """One slice and who has locked it: pids, and their programs as far as they can be read."""

    use: str
    lockers: tuple[tuple[int, str], ...]


def look(files: tuple[NodeFile, ...], broker_pid: int | None) -> tuple[Locked, ...]:
    """The slices that others have locked than our broker, whose kernels have what it holds."""
    slices = [
        (use, tuple(file.path for file in of_slice))
        for use, of_slice in groupby(files, key=lambda file: file.use)
    ]
    holders = processes.lockers_of([paths for _, paths in slices])
    return tuple(
        Locked(use, tuple((pid, _program(pid)) for pid in sorted(pids)))
        for (use, _), pids in zip(slices, holders, strict=True)
        if pids and broker_pid not in pids
    )


def check(locked: tuple[Locked, ...]) -> Iterator[Finding]:
    """Who has what; it may be in good order, in the hands of another user's broker."""
    for one in locked:
        names = ", ".join(f"{pid} ({program or 'unknown'})" for pid, program in one.lockers)
        pids = " ".join(str(pid) for pid, _ in one.lockers)
        yield note(
            "locks",
            f"{one.use} is kept by process {names}, so no broker of this user hands it out",
            "Another user's broker or kernel, or left over from a lease of yours; such a one ends"
            f" with kill {pids}",
            _PAGE,
        )


def _program(pid: int) -> str:
    try:
        text = (processes.PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return printable(text.strip())
