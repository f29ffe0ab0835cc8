from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.hardware.claims import Claims

HOLD = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def nodes(tmp_path: Path) -> tuple[Path, Path]:
    """The device nodes of an instance."""
    paths = (tmp_path / "nvidia-cap30", tmp_path / "nvidia-cap31")
    for path in paths:
        path.touch()
    return paths


def test_what_another_broker_holds_is_refused(nodes: tuple[Path, Path]) -> None:
    """One locked node is enough, nothing stays locked by the attempt, and it works afterwards."""
    claims = Claims()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(nodes[1])], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        assert processes.lockers(nodes) == {other.pid}
        for lock in (claims.take, claims.occupy):
            with pytest.raises(errors.InUse, match="locked"):
                lock("i1", nodes)
        assert processes.lockers_of([nodes[:1], nodes[1:], ()]) == [set(), {other.pid}, set()]
        claims.take("i2", nodes[:1])
        claims.drop("i2")
        other.kill()
    claims.take("i1", nodes)
    claims.close()


def test_two_brokers_take_turns(nodes: tuple[Path, Path]) -> None:
    """A claim lasts until it is dropped; claiming and dropping twice are harmless."""
    one, other = Claims(), Claims()
    one.take("i1", nodes)
    one.take("i1", nodes)
    with pytest.raises(errors.InUse):
        other.take("i1", nodes)
    one.drop("i1")
    one.drop("i1")
    other.take("i1", nodes)
    other.close()
    one.take("i1", nodes)
    one.close()


def test_a_node_that_is_not_there_cannot_be_claimed(tmp_path: Path) -> None:
    """The error says which and why."""
    with pytest.raises(errors.InUse, match="cap99: No such file"):
        Claims().take("i1", (tmp_path / "nvidia-cap99",))


def test_without_nodes_there_is_nothing_to_lock() -> None:
    """Simulated nodes have none."""
    Claims().take("i1", ())


def test_a_node_replaced_while_it_is_locked_is_not_claimed(
    nodes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock would be on a node that is gone, and another broker could lock the new one."""
    flock = fcntl.flock

    def late(file: int, how: int) -> None:
        nodes[0].unlink()
        nodes[0].touch()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(errors.InUse, match="replaced"):
        Claims().take("i1", nodes[:1])


def test_ones_own_locks_are_nobody_elses(nodes: tuple[Path, Path]) -> None:
    """Looking does not disturb, and this process is left out."""
    claims = Claims()
    claims.take("i1", nodes)
    assert processes.lockers((*nodes, nodes[0].with_name("gone"))) == frozenset()
    claims.close()


def test_a_lock_follows_a_node_that_is_replaced(nodes: tuple[Path, Path]) -> None:
    """An instance made anew under its lease has new nodes: they are locked when they are seen."""
    claims, other = Claims(), Claims()
    claims.take("i1", nodes)
    nodes[0].unlink()
    with pytest.raises(errors.InUse):
        claims.renew(nodes)
    nodes[0].touch()
    claims.take("i1", nodes)
    nodes[0].unlink()
    nodes[0].touch()
    claims.renew(nodes[:1])
    claims.renew(nodes)
    with pytest.raises(errors.InUse):
        other.take("i2", nodes[:1])
    claims.close()


def test_without_files_the_kernel_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its list of locks takes it milliseconds, and makes every other program's locks wait."""

    def asked() -> Iterator[tuple[str, int]]:
        pytest.fail("it was asked")

    monkeypatch.setattr(processes, "_locks", asked)
    assert processes.lockers(()) == frozenset()
    assert processes.lockers_of([(), (tmp_path / "gone",)]) == [frozenset()] * 2


def test_what_was_made_just_now_is_locked_at_once(nodes: tuple[Path, Path]) -> None:
    """And nobody else can claim it from then on."""
    maker, other = Claims(), Claims()
    maker.occupy("i1", nodes)
    with pytest.raises(errors.InUse):
        other.take("i1", nodes)
    maker.drop("i1")
    other.take("i1", nodes)
    other.close()


def test_a_kernel_without_a_list_of_locks_tells_of_none(
    nodes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some sandboxes have no ``/proc/locks``: then the lock itself has to tell."""
    monkeypatch.setattr(processes, "PROC", nodes[0].parent)
    assert processes.lockers(nodes) == frozenset()
    one, other = Claims(), Claims()
    one.take("i1", nodes)
    with pytest.raises(errors.InUse):
        other.take("i1", nodes)
    one.close()


def test_what_is_claimed_is_shared_with_its_users(nodes: tuple[Path, Path]) -> None:
    """Their lock keeps others out when ours is gone, and does not keep us out."""
    ours, theirs = Claims(), Claims()
    ours.take("i1", nodes)
    with nodes[1].open() as user:
        fcntl.flock(user, fcntl.LOCK_SH | fcntl.LOCK_NB)
        ours.close()
        with pytest.raises(errors.InUse):
            theirs.take("i1", nodes)
        ours.join("i1", nodes)
        ours.join("i1", nodes)
    with pytest.raises(errors.InUse):
        theirs.take("i1", nodes)
    assert ours.nodes == {"i1": tuple(map(str, nodes))}
    ours.close()
    theirs.take("i1", nodes)
    theirs.close()


def test_nobody_joins_who_is_not_of_the_house(nodes: tuple[Path, Path]) -> None:
    """While somebody claims the instance, a broker that comes back is told so."""
    with nodes[1].open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(errors.InUse, match="cap31"):
            Claims().join("i1", nodes)
    with nodes[0].open() as anybody:
        fcntl.flock(anybody, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_those_who_leave_may_take_a_moment(nodes: tuple[Path, Path]) -> None:
    """What was ours just now is waited for; what never was is refused at once."""
    claims = Claims()
    claims.take("i1", nodes)
    with nodes[0].open() as leaving:
        fcntl.flock(leaving, fcntl.LOCK_SH)
        claims.drop("i1")
        refused = threading.Event()

        def leave() -> None:
            refused.wait(10)
            fcntl.flock(leaving, fcntl.LOCK_UN)

        with pytest.raises(errors.InUse):
            claims.take("i2", nodes)
        thread = threading.Thread(target=leave)
        thread.start()
        threading.Timer(0.05, refused.set).start()
        claims.take("i1", nodes)
        assert refused.is_set()
        thread.join()
    claims.drop("i1")
    with nodes[0].open() as staying:
        fcntl.flock(staying, fcntl.LOCK_SH)
        with pytest.raises(errors.InUse):
            claims.take("i1", nodes)
