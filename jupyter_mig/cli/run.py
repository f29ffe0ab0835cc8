"""``jupyter mig run``: any command on a slice of its own, for as long as it lives.

This process asks for the slice, ties it to itself, and then *becomes* the command (execve). So
terminal, job control, signals and exit status need no passing on; and there is no moment at which
a kill would leave a slice behind: the broker watches the one process there is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import uuid
from contextlib import closing

from jupyter_mig.cli import completion
from jupyter_mig.cli.cells import printable
from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.label import heading
from jupyter_mig.cli.notice import Notice
from jupyter_mig.cli.program import CannotRun, become, find, label
from jupyter_mig.cli.terminal import of
from jupyter_mig.client import Client, Settings, affinity, place
from jupyter_mig.client.locks import lock
from jupyter_mig.client.starter import Starter
from jupyter_mig.errors import Cancelled, LeaseEnded, NotTheHolder
from jupyter_mig.kernels.environment import with_slice
from jupyter_mig.wire.messages import LeaseRequest, LeaseView

HELP = "run a command on a slice of its own"


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    size = parser.add_argument(
        "--size", required=True, help="1g.10gb, or 20gb+ for at least that much"
    )
    completion.offer(size, completion.sizes)
    patience = parser.add_mutually_exclusive_group()
    patience.add_argument(
        "--patience", type=seconds, metavar="S", help="wait in line that long (default: for ever)"
    )
    patience.add_argument(
        "--no-wait",
        dest="patience",
        action="store_const",
        const=0.0,
        help="fail if no slice is free now",
    )
    parser.add_argument("--label", help="what leases and status call it (default: the command)")
    near_gpu(parser)
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...", help="what to run"
    )
    parser.set_defaults(usage_error=parser.error)


def near_gpu(parser: argparse.ArgumentParser) -> None:
    """The argument that says on which CPUs."""
    parser.add_argument(
        "--any-cpu",
        dest="near_gpu",
        action="store_false",
        help="use all CPUs there are, not only those near the GPU",
    )


def seconds(text: str) -> float:
    """A span of time; raises ValueError if it is none."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def run(arguments: argparse.Namespace) -> int:
    """Become the command once there is a slice; returns only if that cannot be."""
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        arguments.usage_error("say what to run: jupyter mig run --size 1g.10gb -- COMMAND ...")
    request = LeaseRequest(
        kernel_id=f"run-{uuid.uuid4()}",
        size=printable(arguments.size),
        label=printable(label(command) if arguments.label is None else arguments.label),
        patience_seconds=arguments.patience,
    )
    try:
        file = find(command[0], os.environ)
        become(file, command, environment(request, near_gpu=arguments.near_gpu))
    except (Cancelled, LeaseEnded) as error:
        error.next_step = error.next_step or "Run the command again to get another slice."
        raise
    except CannotRun as problem:
        print(f"jupyter mig: {problem}", file=sys.stderr)
        return problem.status


def environment(request: LeaseRequest, *, near_gpu: bool) -> dict[str, str]:
    """The environment in which this process has a slice, however long that takes; it is on the CPUs
    near that then, or stays where it is.
    """
    settings = Settings.from_environment(os.environ)
    if settings.remote is not None:
        raise _unseen(f"It is at {settings.remote.url}.")

    async def obtain(client: Client) -> tuple[Client, LeaseView, str]:
        for line in heading(of(sys.stderr), simulated=settings.simulated):
            print(line, file=sys.stderr)
        with closing(Notice(sys.stderr)) as notice:
            lease = await client.acquire(request, notice.show)
        if lease.heartbeat_seconds is not None:
            await client.release(lease.lease_id)
            raise _unseen("It runs outside of this container.")
        for file in lock(lease.slice):  # the command's: it ends with that, or with us
            os.set_inheritable(file, True)  # noqa: FBT003 - it has no name
        key = await client.key(lease.lease_id)
        return client, await client.bind(lease.lease_id, os.getpid()), key

    client, lease, key = hold(obtain, client=Client(settings, _Aside(settings)))
    if lease.slice is None:
        raise LeaseEnded("The slice was lost before the command started.")
    affinity.restrict(0, affinity.near(lease.slice if near_gpu else None, settings))
    return with_slice(
        os.environ,
        lease.slice,
        lease_id=lease.lease_id,
        key=key,
        socket=client.socket,
        simulated=settings.simulated,
    )


def _unseen(situation: str) -> NotTheHolder:
    """This process becomes the command, and then nobody says that it lives."""
    return NotTheHolder(
        "The broker cannot see the processes here, and so lends nothing to a command.",
        situation=situation,
        next_step="Run it from a notebook: its kernel has a slice. Or: jupyter mig batch.",
    )


class _Aside(Starter):
    """Has another process start the broker: it must not be a child of the program we become, which
    would find it among its own.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(place.directory_for(settings), settings)

    async def start(self) -> None:
        """Return once a broker listens; if the other process could not start it, say why."""
        asking = _other_client()
        try:
            await asyncio.to_thread(asking.wait)
        finally:
            asking.terminate()
        await super().start()


def _other_client() -> subprocess.Popen[bytes]:
    """Somebody who asks the same broker something, and so has it started."""
    nowhere = subprocess.DEVNULL
    command = [sys.executable, "-m", "jupyter_mig.cli", "sizes"]
    return subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, cwd="/")
