"""Two brokers, each with its client, on one static simulated node. Run by root for other users.

``python two_brokers.py DIRECTORY ROUNDS UID UID [unlocked]`` prints one JSON line with what was
seen from outside. ``unlocked`` brokers take no locks: then the same record must show double grants.

The interpreter may be in a directory that other users cannot enter, so nothing is executed: all is
imported first, then processes are forked and become their user.
"""

from __future__ import annotations

import asyncio
import encodings.idna
import json
import os
import random
import signal
import socket
import struct
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import tornado.platform.asyncio
import tornado.simple_httpclient

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.agent import Agent
from jupyter_mig.broker.hardware.claims import Claims
from jupyter_mig.broker.premises import Premises
from jupyter_mig.broker.settings import Settings as BrokerSettings
from jupyter_mig.client import Client, Settings
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.driver import open_driver
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.wire import meeting
from jupyter_mig.wire.messages import LeaseRequest, LeaseView

SLICES = 7
IMPORTED_EARLY = (encodings.idna, tornado.platform.asyncio, tornado.simple_httpclient)
RECORD = struct.Struct("=c40s")
GRANTED, GIVEN_BACK, REFUSED = b"+", b"-", b"."


class Sharing(Agent, frozen=True):
    """An agent whose simulated hardware is shared with others."""

    shared: Path = Path()

    def _driver(self, _premises: Premises) -> HardwarePort:
        return open_driver(self.driver, self.shared)


def fork(uid: int, work: Callable[[], object]) -> int:
    """Do ``work`` in a process of that user; its pid."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        if uid != os.getuid():
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - it must not run on as the parent does
        traceback.print_exc()
    finally:
        os._exit(status)


@contextmanager
def node(directory: Path) -> Iterator[tuple[str, Path]]:
    """One A100 cut into seven, its state and its device nodes readable by everybody."""
    driver = f"1xA100-SXM4-40GB?time_scale=0&root={directory}/tree"
    silicon = directory / "silicon.json"
    with simulated.installed(driver, state=silicon) as truth:
        for _ in range(SLICES):
            truth.create(0, "1g.5gb")
    for lock in directory.glob("silicon.json.*lock"):
        lock.chmod(0o666)
    yield f"simulated:{driver}&privileged=off", silicon
    with simulated.attached(silicon) as truth:
        if len(truth.mig_uuids) != SLICES:
            raise AssertionError("a slice that was there before is gone")


def place_of(directory: Path, uid: int, seed: int) -> Path:
    """The place of one broker."""
    place = directory / f"place-{seed}"
    place.mkdir(mode=0o700)
    if uid != os.getuid():
        os.chown(place, uid, uid)
    return place


def user(place: Path, driver: str, rounds: int, seed: int, record: int) -> None:
    """Take and give back slices at random, and put each step on record."""

    async def all_rounds() -> None:
        client = Client(Settings(driver=driver, socket=place / meeting.SOCKET))
        left = iter(range(rounds))
        dice = random.Random(seed)
        await asyncio.gather(*(one_after_another(client, left, dice) for _ in range(SLICES - 2)))

    async def one_after_another(client: Client, left: Iterator[int], dice: random.Random) -> None:
        for number in left:
            lease = await granted(client, LeaseRequest(kernel_id=f"k{number}", size="1g.5gb"), dice)
            uuid = lease.slice.mig_uuid if lease.slice else "none"
            note(GRANTED, uuid)
            await asyncio.sleep(dice.random() / 20)
            note(GIVEN_BACK, uuid)
            await client.release(lease.lease_id)

    async def granted(client: Client, request: LeaseRequest, dice: random.Random) -> LeaseView:
        while True:
            try:
                return await client.acquire(request)
            except errors.NoRoom:  # noqa: PERF203 - trying again is what the loop is for
                note(REFUSED, "")
                await asyncio.sleep(dice.random() / 5)

    def note(what: bytes, uuid: str) -> None:
        os.write(record, RECORD.pack(what, uuid.encode()))  # short enough to be one piece

    asyncio.run(all_rounds())


def watch(record: int) -> dict[str, int]:
    """Read the one record that both users write, in the order they wrote it."""
    seen: Counter[str] = Counter()
    held: set[bytes] = set()
    with os.fdopen(record, "rb") as steps:
        while step := steps.read(RECORD.size):
            what, uuid = RECORD.unpack(step)
            seen[what.decode()] += 1
            if what == GRANTED:
                seen["double"] += uuid in held
                held.add(uuid)
                seen["most"] = max(seen["most"], len(held))
            elif what == GIVEN_BACK:
                held.discard(uuid)
    return {**seen, "held": len(held)}


def listening(place: Path) -> None:
    """Return when the broker there accepts connections."""
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(place / meeting.SOCKET)) == 0:
                return
            os.sched_yield()


def broker(place: Path, driver: str, silicon: Path) -> None:
    """Be a broker there."""
    settings = BrokerSettings(observe=0.5)
    status = Sharing(place, driver, "static", settings=settings, shared=silicon).run()
    if status:
        raise AssertionError(f"a broker ended with {status}")


def main(directory: Path, rounds: int, uids: list[int]) -> None:
    """See the module."""
    with node(directory) as (driver, silicon):
        places = [place_of(directory, uid, seed) for seed, uid in enumerate(uids)]
        brokers = [
            fork(uid, partial(broker, place, driver, silicon))
            for uid, place in zip(uids, places, strict=True)
        ]
        for place in places:
            listening(place)
        reading, writing = os.pipe()
        users = [
            fork(uid, partial(user, place, driver, rounds // 2, seed, writing))
            for seed, (uid, place) in enumerate(zip(uids, places, strict=True))
        ]
        os.close(writing)
        seen = watch(reading)
        failed = ended(users)
        for pid in brokers:
            os.kill(pid, signal.SIGTERM)
        failed += ended(brokers)
    sys.stdout.write(json.dumps({**seen, "failed": failed}))


def ended(pids: list[int]) -> int:
    """Wait for processes; how many of them failed."""
    return sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)


if __name__ == "__main__":
    if sys.argv[5:] == ["unlocked"]:
        without: dict[str, tuple[object, object]] = {
            "lockers_of": (processes, lambda groups: [frozenset() for _ in groups]),
            "take": (Claims, lambda *_: None),
        }
        for name, (owner, instead) in without.items():
            setattr(owner, name, instead)
    main(Path(sys.argv[1]), int(sys.argv[2]), [int(uid) for uid in sys.argv[3:5]])
