from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator

import pytest

from jupyter_mig.broker.holders.holders import Holders
from jupyter_mig.core.leases import Holder
from tests.broker.households import holder_of_pid, me


class Ear:
    """Hears who left."""

    def __init__(self) -> None:
        self.heard: list[Holder] = []
        self.news = asyncio.Event()

    def __call__(self, holder: Holder) -> None:
        """One left."""
        self.heard.append(holder)
        self.news.set()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process to watch."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


async def test_an_exit_is_heard_once(child: subprocess.Popen[bytes]) -> None:
    """Also while the process is still a zombie, and not again while it is wanted."""
    ear, holder = Ear(), holder_of_pid(child.pid)
    holders = Holders(ear)
    holders.watch({holder, me()})
    child.kill()
    await asyncio.wait_for(ear.news.wait(), 60)
    holders.watch({holder, me()})
    assert ear.heard == [holder]
    holders.close()


async def test_one_that_came_to_the_pid_is_another(child: subprocess.Popen[bytes]) -> None:
    """The right pid with another start time is a holder that is gone."""
    ear = Ear()
    reused = Holder(f"{child.pid}:1")
    holders = Holders(ear)
    holders.watch({reused})
    assert ear.heard == [reused]
    holders.close()


async def test_one_that_is_gone_already_is_heard_at_once() -> None:
    """A process that has been reaped before anybody watched."""
    with subprocess.Popen(["sleep", "60"]) as process:  # noqa: ASYNC220 - it is quick
        holder = holder_of_pid(process.pid)
        process.kill()
    ear = Ear()
    holders = Holders(ear)
    holders.watch({holder})
    assert ear.heard == [holder]
    holders.heard(holder)
    holders.watch({holder})
    assert ear.heard == [holder, holder], "wanted again, it has to be reported again"
    holders.close()


async def test_who_is_not_wanted_any_more_is_not_heard(child: subprocess.Popen[bytes]) -> None:
    """Only the end of a wanted holder matters; nothing stays open for others."""
    ear, holder = Ear(), holder_of_pid(child.pid)
    holders = Holders(ear)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    holders.watch({holder})
    holders.watch(set())
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    child.kill()
    holders.watch({me()})
    child.wait()
    await asyncio.sleep(0)
    assert ear.heard == []
    holders.close()
