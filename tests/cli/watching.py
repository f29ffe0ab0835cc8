"""Processes of the command line under way, and what others see of them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_mig.client import Client
from jupyter_mig.wire.messages import LeaseView
from tests.broker.brokers import until
from tests.cli.nodes import CommandLine


@contextmanager
def started(mig: CommandLine, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A process of the command line, with pipes; killed if the test is done with it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=mig.environ, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def lease_in(client: Client, state: str, label: str) -> LeaseView:
    """The lease called ``label``, once it is in that state."""

    async def look() -> LeaseView | None:
        leases = await client.leases()
        return next((one for one in leases if (one.state, one.label) == (state, label)), None)

    found = await until(look)
    assert found is not None
    return found


def of_process(pid: int | None, file: str) -> str:
    """What the kernel of the system tells of a process."""
    return Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8")
