"""What ``/proc`` says about processes. A process is named by pid and start time, as pids come back.

Start times are on ``CLOCK_BOOTTIME`` (proc_pid_stat(5), field 22), as are the ledger's times.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One process, its parent, and whose it is. ``pids`` is how many it has, one for each namespace
    from ours down; 0 where the kernel knows no such namespaces.
    """

    pid: int
    parent_pid: int
    started_ticks: int
    uid: int
    pids: int

    @property
    def started_seconds(self) -> float:
        """When it started, at the latest: the kernel cuts off fractions of a tick."""
        return (self.started_ticks + 1) / TICKS_PER_SECOND

    @property
    def is_contained(self) -> bool:
        """Whether it has a pid namespace below ours; also where nobody can say."""
        return self.pids != 1

    @property
    def counts_otherwise(self) -> bool:
        """Whether it counts pids in a namespace below ours: those it names mean nothing here.

        Not where the kernel knows no such namespaces.
        """
        return self.pids > 1


def find(pid: int) -> Process | None:
    """The process with that pid, if there is one; a zombie is one."""
    try:
        stat, status = _told(pid, "stat"), _told(pid, "status")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name stands in parentheses and may hold any of them itself: cut at the last.
    fields = stat[stat.rindex(b")") + 2 :].split()
    uid = int(_line(status, b"Uid:")[0])
    return Process(pid, int(fields[1]), int(fields[19]), uid, len(_line(status, b"NSpid:")))


def is_roots(process: Process) -> bool:
    """Whether it is root's through and through: what a user started through a setuid program is
    not, nor is root in a pid namespace below ours, a container's.
    """
    try:
        status = _told(process.pid, "status")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return set(_line(status, b"Uid:")) == {b"0"} and not process.is_contained


def _told(pid: int, file: str) -> bytes:
    """What the kernel says: asked with every request, and a Path costs more than the answer."""
    with open(f"{PROC}/{pid}/{file}", "rb", buffering=0) as opened:  # noqa: PTH123
        return opened.readall()


def _line(status: bytes, name: bytes) -> list[bytes]:
    """The words after a name in proc_pid_status(5), where a command's name has no line breaks."""
    _, _, after = status.partition(b"\n" + name)
    return after.partition(b"\n")[0].split()


def variable(pid: int, name: str) -> str | None:
    """A variable of the environment that a process was started with, as far as we may look."""
    try:
        environ = (PROC / str(pid) / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    mark = f"{name}=".encode()
    found = (line[len(mark) :] for line in environ.split(b"\0") if line.startswith(mark))
    return next((value.decode(errors="replace") for value in found), None)


def end(process: Process, *, gently: bool) -> None:
    """Ask that very process to end, or make it; one that has its pid by now is left alone, and
    one that is gone is fine.
    """
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        now = find(process.pid)
        if now is not None and now.started_ticks == process.started_ticks:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM if gently else signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)


def descends(process: Process, ancestor_pid: int) -> bool:
    """Whether a process is ``ancestor_pid`` or one of its descendants."""
    current: Process | None = process
    while current is not None and current.pid > 0:
        if current.pid == ancestor_pid:
            return True
        current = find(current.parent_pid)
    return False


def openers(paths: tuple[Path, ...]) -> frozenset[int]:
    """The pids that have one of ``paths`` open, this process aside, as far as we may look.

    Open only to hold a lock does not count: whatever a kernel starts inherits its lock, to edit a
    file as well as to compute. Nor does a mere path (O_PATH).
    """
    wanted = {str(path) for path in paths}
    if not wanted:
        return frozenset()
    return frozenset(pid for pid in pids() if pid != os.getpid() and _opened(pid, wanted))


def lockers(paths: tuple[Path, ...]) -> frozenset[int]:
    """The pids that have a lock on one of ``paths``, this process aside, as far as we are told.

    Asking leaves the files alone: trying to lock them would disturb whoever does so now. It takes
    the kernel 10 ms (measured): it first waits until no CPU is locking anything. So ask about many
    files at once.
    """
    (found,) = lockers_of([paths])
    return found


def lockers_of(groups: Sequence[tuple[Path, ...]]) -> list[frozenset[int]]:
    """The lockers of each group of paths, at the price of one question; for nothing, if there are
    no files.
    """
    wanted = [frozenset(_as_listed(paths)) for paths in groups]
    locks = list(_locks()) if any(wanted) else []
    return [
        frozenset(pid for file, pid in locks if file in files and pid != os.getpid())
        for files in wanted
    ]


def _as_listed(paths: tuple[Path, ...]) -> Iterator[str]:
    """Files as the kernel names them in its list of locks."""
    for path in paths:
        with suppress(OSError):
            found = path.stat()
            device = found.st_dev
            yield f"{os.major(device):02x}:{os.minor(device):02x}:{found.st_ino}"


def _locks() -> Iterator[tuple[str, int]]:
    """All locks held, as file and pid; none where the kernel keeps no such list."""
    try:
        text = (PROC / "locks").read_text(encoding="ascii")
    except OSError:
        return
    for line in text.splitlines():
        # "1: FLOCK ADVISORY WRITE 4711 08:01:123 0 EOF"; those who wait have "1: -> FLOCK …".
        fields = line.split()
        if len(fields) == 8:
            yield fields[5], int(fields[4])


def pids() -> Iterator[int]:
    """All processes there are now."""
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())


def _opened(pid: int, wanted: set[str]) -> bool:
    """Whether a process has one of the files open, for more than a lock."""
    # Other users' processes, and those that just ended, do not let us look.
    with suppress(PermissionError, FileNotFoundError, ProcessLookupError):
        for link in (PROC / str(pid) / "fd").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                if str(link.readlink()) in wanted and not _is_unused(pid, link.name):
                    return True
    return False


def _is_unused(pid: int, descriptor: str) -> bool:
    """Whether an open file is a mere path, or a lock is held through it, whoever took it."""
    text = _fdinfo(pid, descriptor)
    return _is_path(text) or any(line.startswith("lock:") for line in text.splitlines())


def names_only(descriptor: Path) -> bool:
    """Whether a descriptor, as ``/proc/PID/fd/N`` or a thread's, only names a file. Anybody may
    have one of what he may not open, and can do nothing with it: a driver does not take it
    (open(2), O_PATH).
    """
    return _is_path(
        (descriptor.parents[1] / "fdinfo" / descriptor.name).read_text(encoding="ascii")
    )


def _is_path(fdinfo: str) -> bool:
    """Whether that is said of a descriptor that only names a file (proc_pid_fdinfo(5))."""
    flags = next(line for line in fdinfo.splitlines() if line.startswith("flags:"))
    return bool(int(flags.split()[1], 8) & os.O_PATH)


def _fdinfo(pid: int, descriptor: str) -> str:
    return (PROC / str(pid) / "fdinfo" / descriptor).read_text(encoding="ascii")


def boottime() -> float:
    """Seconds on the clock of the ledger, which all processes of one boot share."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """The kernel's name for the time since the last boot."""
    return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
