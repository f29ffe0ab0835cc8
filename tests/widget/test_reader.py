"""The reader's thread: one for all, there while somebody follows, and never the end of a kernel."""

from __future__ import annotations

import gc
import logging
import threading
from queue import Queue

import pytest

from jupyter_mig import errors
from jupyter_mig.widget.reader import Reader, Sight
from jupyter_mig.wire.messages import SliceNowView

NOW = SliceNowView("L", "bound", "1g.5gb")
QUICK_SECONDS = 0.01


class Onlooker:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.sights: Queue[Sight] = Queue()

    def show(self, sight: Sight) -> None:
        """Remember."""
        self.sights.put(sight)

    def next(self) -> Sight:
        """The next that is shown."""
        return self.sights.get(timeout=10)

    def until(self, trouble: type[errors.JupyterMigError] | None) -> Sight:
        """The first sight from now with that trouble, or without any."""
        while True:
            sight = self.next()
            if (type(sight.trouble) if sight.trouble else None) == trouble:
                return sight


class Broken:
    """A front end that has gone."""

    def show(self, sight: Sight) -> None:
        """Fail."""
        raise OSError("the channel is closed")


class Door:
    """What is looked through; troubles can be put in the way. Knows who looked."""

    def __init__(self) -> None:
        self.trouble: errors.JupyterMigError | None = None
        self.threads: set[threading.Thread] = set()

    def look(self) -> SliceNowView:
        """One look."""
        self.threads.add(threading.current_thread())
        if self.trouble is not None:
            raise self.trouble
        return NOW


def _ended(door: Door) -> None:
    for thread in door.threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in door.threads)


def test_all_followers_share_one_thread() -> None:
    """It is a daemon's, starts with the first of them and ends with the last."""
    door, first, second = Door(), Onlooker(), Onlooker()
    reader = Reader(door.look, QUICK_SECONDS)
    reader.follow(first)
    reader.follow(second)
    assert (first.next(), second.next()) == (Sight(NOW), Sight(NOW))
    reader.leave(first)
    second.next()
    (thread,) = door.threads
    assert thread.daemon
    assert thread.is_alive()
    reader.leave(second)
    _ended(door)


def test_a_new_follower_need_not_wait() -> None:
    """It is shown a look of its own, however rarely the reader looks."""
    door, first, second = Door(), Onlooker(), Onlooker()
    reader = Reader(door.look, 3600)
    reader.follow(first)
    first.next()
    reader.follow(second)
    second.next()
    reader.stop()
    _ended(door)


def test_who_is_held_by_nobody_is_not_held_by_the_reader() -> None:
    """A follower that is collected is a follower that left."""
    door, onlooker = Door(), Onlooker()
    reader = Reader(door.look, QUICK_SECONDS)
    reader.follow(onlooker)
    onlooker.next()
    del onlooker
    gc.collect()
    _ended(door)


def test_a_broker_that_is_gone_may_come_back() -> None:
    """What was seen last is kept meanwhile, with what is the matter."""
    door, onlooker = Door(), Onlooker()
    reader = Reader(door.look, QUICK_SECONDS)
    reader.follow(onlooker)
    onlooker.until(None)
    door.trouble = errors.BrokerUnreachable("The broker does not answer.")
    assert onlooker.until(errors.BrokerUnreachable).seen == NOW
    door.trouble = None
    assert onlooker.until(None).seen == NOW
    reader.stop()
    _ended(door)


def test_an_ended_lease_is_looked_at_no_more() -> None:
    """The thread ends; who comes later is told so too."""
    door, first, later = Door(), Onlooker(), Onlooker()
    door.trouble = errors.LeaseEnded("The lease is over.")
    reader = Reader(door.look, QUICK_SECONDS)
    reader.follow(first)
    first.until(errors.LeaseEnded)
    _ended(door)
    reader.follow(later)
    later.until(errors.LeaseEnded)
    _ended(door)


def test_one_follower_that_fails_does_not_blind_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is left out, once, with a line in the log."""
    door, onlooker, broken = Door(), Onlooker(), Broken()
    reader = Reader(door.look, QUICK_SECONDS)
    with caplog.at_level(logging.WARNING, "jupyter_mig"):
        reader.follow(broken)
        reader.follow(onlooker)
        for _ in range(3):
            onlooker.next()
        reader.stop()
        _ended(door)
    assert len(caplog.records) == 1
