"""One job as a process: it waits at the start until its slice is tied to it."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress

_GO = 'read -r go || exit; exec "$@" </dev/null'
"""Without the word, because we were killed before we could say it, the command never runs: the
slice that stands in its environment may be somebody else's by then."""


class Child:
    """A job's process, in a session and process group of its own. Make it with :meth:`start`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environ: Mapping[str, str],
        outlets: tuple[int, int],
        files: tuple[int, ...] = (),
    ) -> Child:
        """Start the process, which inherits ``files`` and then waits for :meth:`go`."""
        out, err = outlets
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", _GO, command[0], *command,
            env=environ, stdin=PIPE, stdout=out, stderr=err, start_new_session=True, pass_fds=files,
        )  # fmt: skip
        return cls(process)

    def go(self) -> None:
        """Let the command run."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"go\n")
            self._process.stdin.close()

    def call_off(self) -> None:
        """The command is not to run."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        """Signal the job and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def wait(self) -> int:
        """Its exit status, 128+N after signal N."""
        status = await self._process.wait()
        return status if status >= 0 else 128 - status
