"""One user's process in the soak: starts kernels on slices and ends them in every way there is.

``python -m benchmarks.soak.worker DIRECTORY SEED`` writes a line per start to standard output:
``started`` or ``refused``. It keeps a lock per MIG UUID in DIRECTORY, which its kernels inherit and
so hold while they live: a lock that is taken means that two hold one slice, and is said as
``double MIG-…``.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from jupyter_mig.client import Client, Settings
from jupyter_mig.errors import JupyterMigError
from jupyter_mig.wire.messages import LeaseRequest, LeaseView

SIZES = ("1g.5gb", "1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb")
ENDS = {
    "release": 4,
    "restart": 4,
    "lose kernel": 1,  # kept for 30 s, in case it is started again
    "leave kernel": 4,
    "kill server": 3,
    "take back": 2,
    "never bind": 2,
}
"""Ways to end, and how often each is taken."""


def say(word: str) -> None:
    """One line, whole, whatever happens to us next."""
    os.write(1, f"{word}\n".encode())


def locked(directory: Path, mig_uuid: str) -> int | None:
    """The lock on a slice as an inheritable descriptor, or None if somebody has it."""
    descriptor = os.open(directory / mig_uuid, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.set_inheritable(descriptor, True)  # noqa: FBT003 - its only form
    return descriptor


class Life:
    """One kernel from its request to its end."""

    def __init__(self, client: Client, directory: Path, dice: random.Random, name: str) -> None:
        self.client, self.directory, self.dice, self.name = client, directory, dice, name

    async def live(self) -> None:
        """Ask, perhaps wait, start, end somehow."""
        (end,) = self.dice.choices(list(ENDS), list(ENDS.values()))
        patience = self.dice.choice((0.0, 2.0))
        request = LeaseRequest(self.name, self.dice.choice(SIZES), patience_seconds=patience)
        if end == "take back":
            lease = await self.client.request(request)
            await self.client.release(lease.lease_id)
            say("started")
            return
        await self._start(await self.client.acquire(request), end)

    async def _start(self, lease: LeaseView, end: str) -> None:
        assert lease.slice is not None
        lock = locked(self.directory, lease.slice.mig_uuid)
        if lock is None:
            say(f"double {lease.slice.mig_uuid}")
            return
        say("started")
        with ExitStack() as held:
            held.callback(os.close, lock)
            if end != "never bind":
                await self._compute(lease, end)
            if end != "lose kernel":
                held.close()  # from here on only a kernel that is left may hold it
                await self.client.release(lease.lease_id)

    async def _compute(self, lease: LeaseView, end: str) -> None:
        kernel = self._kernel()
        try:
            await self.client.bind(lease.lease_id, kernel.pid)
            if end in ("restart", "kill server", "lose kernel"):
                kernel.kill()
                kernel.wait()
            if end == "kill server":
                os.kill(os.getpid(), signal.SIGKILL)
            if end == "restart":
                await self._restart(lease)
        finally:
            if end != "leave kernel":
                kernel.kill()
                kernel.wait()

    async def _restart(self, lease: LeaseView) -> None:
        await self.client.renew(lease.lease_id)
        again = self._kernel()
        try:
            await self.client.bind(lease.lease_id, again.pid)
        finally:
            again.kill()
            again.wait()

    def _kernel(self) -> subprocess.Popen[bytes]:
        """A process that inherits the lock."""
        null = subprocess.DEVNULL
        return subprocess.Popen(["sleep", "600"], close_fds=False, stdout=null, stderr=null)


async def work(directory: Path, seed: int) -> None:
    """Start kernels until told to stop."""
    dice = random.Random(seed)
    client = Client(Settings.from_environment(os.environ))
    count = 0
    while True:
        count += 1
        try:
            await Life(client, directory, dice, f"{os.getpid()}-{count}").live()
        except JupyterMigError as error:
            say(f"refused {error.kind}")


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2])))
