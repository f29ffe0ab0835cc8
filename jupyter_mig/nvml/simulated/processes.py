"""Processes as /proc shows them: who is alive, and how much memory a tree holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

PROC = Path("/proc")


class Process(msgspec.Struct, frozen=True):
    """One process. The start time tells it from a later one with the same pid."""

    pid: int
    started_ticks: int


class _Stat(NamedTuple):
    state: str
    parent: int
    started_ticks: int
    resident_bytes: int
    processor_ticks: int
    """Its own and that of children it has waited for."""


def boot_id() -> str:
    """The kernel's name for the time since the last boot."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def observe(pid: int) -> Process:
    """The process with this pid now; ProcessLookupError when there is none."""
    stat = _stat(pid)
    if stat is None:
        raise ProcessLookupError(f"there is no process {pid}")
    return Process(pid, stat.started_ticks)


def is_alive(process: Process) -> bool:
    """Whether it still runs. A zombie does not: its CUDA context is gone."""
    stat = _stat(process.pid)
    return (
        stat is not None
        and stat.started_ticks == process.started_ticks
        and stat.state not in {"Z", "X"}
    )


def name(pid: int) -> str | None:
    """The path or name that NVML would give for the process, None when it is gone."""
    try:
        return str((PROC / str(pid) / "exe").readlink())
    except OSError:
        return None


def resident_bytes_of_tree(pid: int) -> int:
    """Resident memory of a process and all its descendants."""
    return sum(stat.resident_bytes for stat in _tree(pid))


def processor_seconds_of_tree(pid: int) -> float:
    """Processor time of a process and all its descendants, those that ended included."""
    return sum(stat.processor_ticks for stat in _tree(pid)) / os.sysconf("SC_CLK_TCK")


def _tree(pid: int) -> list[_Stat]:
    stats = {one: stat for one in _pids() if (stat := _stat(one))}
    children: dict[int, list[int]] = {}
    for child, stat in stats.items():
        children.setdefault(stat.parent, []).append(child)
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found += [stats[current]] if current in stats else []
        todo.extend(children.get(current, ()))
    return found


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> _Stat | None:
    """Fields of proc_pid_stat(5); the name in parentheses may hold anything, so cut after it."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return _Stat(
        state=fields[0],
        parent=int(fields[1]),
        started_ticks=int(fields[19]),
        resident_bytes=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        processor_ticks=sum(map(int, fields[11:15])),
    )
