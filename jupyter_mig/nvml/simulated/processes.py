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
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        stat = _stat(current)
        if stat is not None:
            found.append(stat)
            todo.extend(_children(current))
    return found


def _children(pid: int) -> list[int]:
    """As the kernel lists them, thread by thread. Kernels built without such lists, which are few,
    show none; looking through all processes of a machine for each one would be too slow.
    """
    found: list[int] = []
    try:
        for thread in (PROC / str(pid) / "task").iterdir():
            found += map(int, _text(f"{thread}/children").split())
    except (FileNotFoundError, ProcessLookupError):  # it is gone by now
        return []
    return found


def _text(path: str) -> str:
    """What is in a file of /proc; empty if it is gone."""
    try:
        # Path.open costs as much as the kernel does, and this is done thousands of times.
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _stat(pid: int) -> _Stat | None:
    """Fields of proc_pid_stat(5); the name in parentheses may hold anything, so cut after it."""
    text = _text(f"{PROC}/{pid}/stat")
    if not text:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return _Stat(
        state=fields[0],
        parent=int(fields[1]),
        started_ticks=int(fields[19]),
        resident_bytes=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        processor_ticks=sum(map(int, fields[11:15])),
    )
