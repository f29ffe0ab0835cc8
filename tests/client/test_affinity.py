from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from jupyter_mig.client import Settings, affinity
from jupyter_mig.client.remote import Remote
from jupyter_mig.core import cpus
from jupyter_mig.wire.messages import SliceView

MINE = sorted(os.sched_getaffinity(0))
FIRST = frozenset(MINE[:1])


def on(near_cpus: str) -> SliceView:
    """A slice whose GPU is near those CPUs."""
    return SliceView("MIG-1", "1g.5gb", 1, 14, "GPU-1", 0, "A30", 7, near_cpus=near_cpus)


def near(near_cpus: str) -> frozenset[int]:
    """What of them this process would use."""
    return affinity.near(on(near_cpus), Settings())


def seen_by_a_child() -> set[int]:
    """The CPUs that a program started by this thread finds itself on."""
    ask = "import os; print(*os.sched_getaffinity(0))"
    return set(map(int, subprocess.check_output([sys.executable, "-c", ask]).split()))


@pytest.fixture
def confined() -> Iterator[None]:
    """This thread may use one CPU."""
    os.sched_setaffinity(0, FIRST)
    yield
    os.sched_setaffinity(0, MINE)


def test_of_the_cpus_near_only_those_allowed(confined: None) -> None:
    """What somebody has set is narrowed, never widened."""
    assert near("0-1023") == FIRST


@pytest.mark.parametrize("text", ["", "8000-8191", "0-99999999", "x"])
def test_nothing_is_set_where_nothing_would_be_left(text: str) -> None:
    """Or nothing can be understood: then all stays as it is."""
    assert near(text) == frozenset()
    with affinity.inherited(near(text)):
        assert sorted(seen_by_a_child()) == MINE


def test_cpus_of_another_machine_say_nothing() -> None:
    """A broker by TCP may be anywhere, and without a slice there is no GPU."""
    remote = Settings(remote=Remote("http://127.0.0.1:8123"))
    assert affinity.near(on("0-1023"), remote) == frozenset()
    assert affinity.near(None, Settings()) == frozenset()


def test_what_is_started_meanwhile_inherits() -> None:
    """From its first moment; and whoever started it is where it was."""
    with affinity.inherited(FIRST):
        assert seen_by_a_child() == FIRST
    assert sorted(os.sched_getaffinity(0)) == MINE


def test_whoever_starts_something_in_vain_is_where_it_was() -> None:
    """A kernel without a program, say."""
    with pytest.raises(FileNotFoundError), affinity.inherited(FIRST):
        subprocess.Popen(["/nowhere"])
    assert sorted(os.sched_getaffinity(0)) == MINE


def test_cpus_that_are_not_here_do_no_harm() -> None:
    """The kernel refuses them; a process that is gone cannot be moved, either."""
    affinity.restrict(0, frozenset({cpus.MOST - 1}))
    assert sorted(os.sched_getaffinity(0)) == MINE
    child = subprocess.Popen(["true"])
    child.wait()
    affinity.restrict(child.pid, FIRST)
