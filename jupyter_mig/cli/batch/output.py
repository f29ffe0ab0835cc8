"""Where what the jobs print goes: to us with the job before each line, or to files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from jupyter_mig.errors import JupyterMigError

_LONGEST_LINE_BYTES = 64 * 1024
_LAST_WORDS_SECONDS = 1.0
"""How long what a job left running may hold its output open. What the job itself printed stands
in the pipe by then."""


class Files:
    """``DIR/3.out`` and ``DIR/3.err`` for job 3; raises JupyterMigError if they cannot be."""

    def __init__(self, directory: Path, count: int) -> None:
        self._directory = directory
        self._digits = len(str(count))
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(directory, error) from error

    @asynccontextmanager
    async def opened(self, number: int) -> AsyncIterator[tuple[int, int]]:
        """The files that job ``number`` may write its output and errors to."""
        with ExitStack() as stack:
            out, err = (
                stack.enter_context(self._file(f"{number:0{self._digits}}.{kind}"))
                for kind in ("out", "err")
            )
            yield out.fileno(), err.fileno()

    def _file(self, name: str) -> BinaryIO:
        path = self._directory / name
        try:
            return path.open("wb")
        except OSError as error:
            raise _unwritable(path, error) from error


class Printed:
    """Everything on our own streams, by whole lines: ``[3] epoch 1``."""

    def __init__(self, out: BinaryIO, err: BinaryIO, count: int) -> None:
        self._out = out
        self._err = err
        self._digits = len(str(count))

    @asynccontextmanager
    async def opened(self, number: int) -> AsyncIterator[tuple[int, int]]:
        """Pipes that job ``number`` may write its output and errors to."""
        mark = f"[{number:{self._digits}}] ".encode()
        pumps = [_Pump(Lines(stream, mark)) for stream in (self._out, self._err)]
        try:
            yield pumps[0].entrance, pumps[1].entrance
        finally:
            for pump in pumps:
                await pump.finish()


class Lines:
    """Bytes in, whole lines out, each with the mark before it."""

    def __init__(self, stream: BinaryIO, mark: bytes) -> None:
        self._stream = stream
        self._mark = mark
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Write the lines that are whole now, and what is too long to wait for its end."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE_BYTES:
            whole.append(self._rest)
            self._rest = b""
        self._stream.write(b"".join(self._mark + line + b"\n" for line in whole))
        self._stream.flush()

    def end(self) -> None:
        """Write what has no line end."""
        if self._rest:
            self.feed(b"\n")


class _Pump:
    """A pipe: what is written at its ``entrance`` comes out as lines."""

    def __init__(self, lines: Lines) -> None:
        exit_, self.entrance = os.pipe()
        self._task = asyncio.create_task(_pump(exit_, lines))

    async def finish(self) -> None:
        """Return when everything is out; raises what kept it from getting out."""
        os.close(self.entrance)
        await asyncio.wait((self._task,), timeout=_LAST_WORDS_SECONDS)
        self._task.cancel()
        if not self._task.cancelled() and self._task.done():
            self._task.result()


async def _pump(exit_: int, lines: Lines) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(exit_, "rb", buffering=0)
    )
    try:
        while data := await reader.read(_LONGEST_LINE_BYTES):
            lines.feed(data)
    finally:
        transport.close()
        lines.end()


def _unwritable(path: Path, error: OSError) -> JupyterMigError:
    return JupyterMigError(f"Cannot write {path}: {error.strerror}.")
