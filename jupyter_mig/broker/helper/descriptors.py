"""Who has a device open, in all ways in which a process can: root sees all of them.

Threads count: each may have a table of descriptors of its own (unshare(2), CLONE_FILES), and the
first of a process, whose table ``/proc/PID/fd`` shows, may have ended before the others.
"""

from __future__ import annotations

import ctypes
import platform
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jupyter_mig.broker import processes

_KCMP = {"x86_64": 312, "aarch64": 272, "ppc64le": 354}
"""Its number among the system calls, as for bpf(2)."""
_FILES = 2
"""Whether two threads share a table of descriptors (kcmp(2), KCMP_FILES)."""

_GONE = (PermissionError, FileNotFoundError, ProcessLookupError)
_libc = ctypes.CDLL(None, use_errno=True)


def open_devices() -> Iterator[tuple[int, int]]:
    """Every open descriptor of a device: process and device number, whatever its path was.

    A descriptor that only names one (O_PATH) is none: any user may have it, of any node, and would
    keep every slice from being handed over.

    Of all processes that we may look at: root with CAP_SYS_PTRACE may look at all.
    """
    for pid in processes.pids():
        for table in _tables(pid):
            for device in _devices(table):
                yield pid, device


def mappers(name: str) -> frozenset[int]:
    """The processes that have a node of that name mapped: a mapping outlives its descriptor."""
    mapped = re.compile(rb"/%s(?: \(deleted\))?$" % re.escape(name.encode()), re.MULTILINE)
    return frozenset(pid for pid in processes.pids() if mapped.search(_mappings(pid)))


def _devices(table: Path) -> Iterator[int]:
    with suppress(*_GONE):
        for descriptor in table.iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                opened = descriptor.stat()
                if stat.S_ISCHR(opened.st_mode) and not processes.names_only(descriptor):
                    yield opened.st_rdev


def _tables(pid: int) -> Iterator[Path]:
    """The tables of descriptors of a process, one for all threads that share it."""
    with suppress(*_GONE):
        threads = sorted(int(each.name) for each in _threads(pid))
        for place, thread in enumerate(threads):
            if not place or not _shares_table(threads[place - 1], thread):
                yield processes.PROC / str(pid) / "task" / str(thread) / "fd"


def _threads(pid: int) -> Iterator[Path]:
    return (processes.PROC / str(pid) / "task").iterdir()


def _shares_table(one: int, other: int) -> bool:
    """False also where nobody can say: then the same is looked at twice."""
    number = _KCMP.get(platform.machine())
    return number is not None and not _libc.syscall(number, one, other, _FILES, 0, 0)


def _mappings(pid: int) -> bytes:
    """What a process has mapped, as that of its threads tells which lives: they share it."""
    with suppress(*_GONE):
        for thread in _threads(pid):
            with suppress(*_GONE):
                if found := (thread / "maps").read_bytes():
                    return found
    return b""
