from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from jupyter_mig import errors
from jupyter_mig.client import Client, Settings, place
from jupyter_mig.client.starter import Starter
from jupyter_mig.wire import meeting
from tests import disks
from tests.broker.brokers import Post

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def brokers(directory: Path) -> list[int]:
    """The pids of all broker processes of a place."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if b"broker" in line and str(directory).encode() in line:
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("count", [2, 8])
def test_many_starters_start_one_broker(post: Post, count: int) -> None:
    """Processes that all find nobody at the same moment end up with the same broker."""
    script = f"""
import asyncio, sys
from pathlib import Path
from jupyter_mig.client import Client, Settings
settings = Settings(driver={post.settings.driver!r},
                    runtime_directory=Path({str(post.settings.runtime_directory)!r}))
client = Client(settings)
sys.stdin.readline()
print(asyncio.run(client.broker()).pid)
"""
    starters = [
        subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1) for _ in range(count)
    ]
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write(b"go\n")
        starter.stdin.flush()
    pids = {starter.communicate(timeout=60)[0] for starter in starters}
    assert [starter.returncode for starter in starters] == [0] * count
    assert pids == {f"{post.pid}\n".encode()}
    assert brokers(post.directory) == [post.pid]


async def test_many_starters_in_one_process_start_one_broker(post: Post) -> None:
    """Thirty-two kernels at once in one server, each with a client of its own."""
    clients = [post.client() for _ in range(32)]
    views = await asyncio.gather(*(client.broker() for client in clients))
    assert {view.pid for view in views} == {post.pid}
    assert brokers(post.directory) == [post.pid]


async def test_a_starter_that_died_does_not_stop_others(post: Post) -> None:
    """The starting lock ends with the process that had it."""
    lock = str(post.directory / meeting.STARTING)
    with subprocess.Popen(  # noqa: ASYNC220 - it is quick
        [sys.executable, "-c", HOLD, lock], stdin=-1, stdout=-1
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        starting = asyncio.ensure_future(post.starter().start())
        done, _ = await asyncio.wait((starting,), timeout=0.3)
        assert not done, "two started at once"
        other.kill()
    await asyncio.wait_for(starting, 20)


async def test_why_a_broker_did_not_start_is_raised(runtime: Path) -> None:
    """The error is the one that ended the broker's process, not a time-out."""
    client = Client(Settings(driver="simulated:1xAbacus", runtime_directory=runtime))
    with pytest.raises(errors.UnknownDriver, match="Abacus"):
        await client.broker()


async def test_a_broker_that_just_dies_is_reported_with_its_last_words(post: Post) -> None:
    """A process that leaves no note leaves its output."""
    command = (sys.executable, "-c", "import sys; sys.exit('no spoons left')")
    with pytest.raises(errors.BrokerStartFailed, match="status 1") as caught:
        await Starter(post.directory, post.settings, command).start()
    assert caught.value.situation == "no spoons left"
    assert meeting.DIARY in caught.value.next_step


async def test_a_broker_that_is_killed_is_said_to_have_been(post: Post) -> None:
    """By too little memory, or a library that is not whole."""
    command = ("sh", "-c", "kill -BUS $$")
    with pytest.raises(errors.BrokerStartFailed, match=f"killed by signal {signal.SIGBUS}"):
        await Starter(post.directory, post.settings, command).start()


async def test_a_broker_that_never_answers_is_given_up(post: Post) -> None:
    """In the time that the settings allow; the error names the log."""
    command = (sys.executable, "-c", "import time; time.sleep(3)")
    settings = msgspec.structs.replace(post.settings, start_seconds=0.2)
    with pytest.raises(errors.BrokerStartFailed, match="within 0 s") as caught:
        await Starter(post.directory, settings, command).start()
    assert meeting.DIARY in caught.value.next_step


async def test_one_that_finds_the_place_taken_is_started_again(post: Post) -> None:
    """A leaving broker holds its lock a moment longer than its socket."""
    with (post.directory / meeting.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        starting = asyncio.ensure_future(post.starter().start())
        done, _ = await asyncio.wait((starting,), timeout=0.5)
        assert not done
    await asyncio.wait_for(starting, 20)


@pytest.fixture
def small_disk(runtime: Path) -> Iterator[Path]:
    """A file system of 64 kB as runtime directory."""
    with disks.small_disk(runtime / "disk", "64k") as mount:
        yield mount


async def test_a_full_disk_is_said_to_be_full(small_disk: Path) -> None:
    """With no room at all, and with room for a note but not for a log."""
    settings = Settings(driver="simulated:1xA30", runtime_directory=small_disk)
    place.prepare(place.directory_for(settings))
    for room in (0, 20_000):
        filler = small_disk / "filler"
        filler.write_bytes(b"x" * (_free(small_disk) - room))
        with pytest.raises(errors.JupyterMigError) as caught:
            await Client(settings).broker()
        assert isinstance(caught.value, errors.UnwritableLog), caught.value
        filler.unlink()


def _free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


async def test_a_read_only_disk_is_said_to_be_read_only(small_disk: Path) -> None:
    """Before the place exists, and after."""
    settings = Settings(driver="simulated:1xA30", runtime_directory=small_disk)
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)  # noqa: ASYNC221 - it is quick
    with pytest.raises(errors.BadPlace, match="Read-only"):
        await Client(settings).broker()
    subprocess.run([*remount[:2], "remount,rw", remount[3]], check=True)  # noqa: ASYNC221
    place.prepare(place.directory_for(settings))
    subprocess.run(remount, check=True)  # noqa: ASYNC221
    with pytest.raises(errors.UnwritableLog, match="Read-only"):
        await Client(settings).broker()
