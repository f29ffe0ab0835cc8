from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from jupyter_mig.broker import processes
from jupyter_mig.broker.processes import boottime

PARENT = """
import subprocess
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
child.wait()
"""


def find(pid: int) -> processes.Process:
    """A process that is there."""
    found = processes.find(pid)
    assert found is not None
    return found


def test_a_process_is_known_by_pid_parent_and_user() -> None:
    """What is read from /proc agrees with what the system says."""
    own = find(os.getpid())
    assert (own.pid, own.parent_pid, own.uid) == (os.getpid(), os.getppid(), os.getuid())


def test_a_name_with_parentheses_does_not_confuse(tmp_path: Path) -> None:
    """A command may be called anything: ``) R 1 (`` too."""
    odd = tmp_path / ") R 1 ("
    odd.symlink_to(sys.executable)
    with subprocess.Popen([str(odd), "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert find(child.pid).parent_pid == os.getpid()
        child.kill()


def test_a_name_with_a_line_break_does_not_confuse() -> None:
    """A command that looks like a line about another user and another namespace is still ours."""
    code = (
        "import sys; open('/proc/self/comm', 'w').write('a\\nUid: 7'); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = find(child.pid)
        assert (found.uid, found.pids) == (os.getuid(), 1)
        child.kill()


def test_start_times_are_on_the_ledgers_clock() -> None:
    """A process started now started between two looks at CLOCK_BOOTTIME, to a tick."""
    tick = 1 / processes.TICKS_PER_SECOND
    before = boottime()
    with subprocess.Popen(["sleep", "60"]) as child:
        after = boottime()
        assert before <= find(child.pid).started_seconds <= after + tick
        child.kill()


def test_nobody_is_found_where_nobody_is() -> None:
    """A pid that has been reaped is no process; a zombie still is one."""
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert processes.find(child.pid) is not None
    child.wait()
    assert processes.find(child.pid) is None


def test_descent_is_followed_through_generations() -> None:
    """A grandchild descends from us and from itself, not from a stranger or its own child."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        grandchild = find(int(child.stdout.readline()))
        assert processes.descends(grandchild, os.getpid())
        assert processes.descends(grandchild, child.pid)
        assert processes.descends(grandchild, grandchild.pid)
        assert not processes.descends(find(child.pid), grandchild.pid)
        os.kill(grandchild.pid, 9)


def test_who_has_a_file_open_is_found(tmp_path: Path) -> None:
    """Processes with one of the paths open, this one aside."""
    node = tmp_path / "nvidia-cap1"
    node.touch()
    other = tmp_path / "nvidia-cap2"
    other.touch()
    with node.open() as file, subprocess.Popen(["sleep", "60"], stdin=file) as child:
        assert processes.openers((node, other)) == {child.pid}
        assert processes.openers((other,)) == frozenset()
        assert processes.openers(()) == frozenset()
        child.kill()


def test_the_boot_has_a_name() -> None:
    """Twice the same, and long enough to be no accident."""
    assert processes.boot_id() == processes.boot_id()
    assert len(processes.boot_id()) == 36
    assert time.monotonic() > 0


def test_who_only_holds_a_lock_is_no_user_of_a_file(tmp_path: Path) -> None:
    """Not with the lock of whoever started it; but with a second opening of its own it is."""
    node = tmp_path / "nvidia-cap1"
    node.touch()
    with node.open() as lock, node.open() as file:
        fcntl.flock(lock, fcntl.LOCK_SH)
        with subprocess.Popen(["sleep", "60"], pass_fds=(lock.fileno(),)) as child:
            assert processes.openers((node,)) == frozenset()
            child.kill()
        with subprocess.Popen(["sleep", "60"], stdin=file, pass_fds=(lock.fileno(),)) as child:
            assert processes.openers((node,)) == {child.pid}
            child.kill()
