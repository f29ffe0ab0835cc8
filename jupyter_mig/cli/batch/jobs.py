"""The list of jobs, one a line: ``SIZE COMMAND ...``, and what becomes of each."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Literal

import msgspec

from jupyter_mig.cli.cells import printable
from jupyter_mig.cli.program import CannotRun, find
from jupyter_mig.errors import BadRequest

State = Literal["done", "failed", "refused", "ended", "not started"]


class Job(msgspec.Struct, frozen=True):
    """One command and the size of its slice. ``number`` counts the jobs from 1, ``line`` lines."""

    number: int
    line: int
    size: str
    command: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a job.

    ``size`` is that of its slice, or what was asked for. ``exit_status`` is 128+N after a signal N
    and None if it never ran; ``problem`` says why not. Times are in seconds.
    """

    job: int
    size: str
    command: tuple[str, ...]
    state: State
    exit_status: int | None = None
    waited_seconds: float = 0.0
    ran_seconds: float = 0.0
    problem: str = ""


def read(text: str, environ: Mapping[str, str]) -> list[Job]:
    """The jobs in a file's text; raises BadRequest that names the line which is none.

    Words are split and quoted as in a shell, ``#`` begins a comment; nothing is expanded.
    """
    jobs: list[Job] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = _words(number, line)
        if words:
            jobs.append(_job(len(jobs) + 1, number, words, environ))
    if not jobs:
        raise BadRequest("There are no jobs.", next_step="Write one a line: SIZE COMMAND ...")
    return jobs


def _words(number: int, line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise BadRequest(f"Line {number}: {error}.", situation=printable(line)) from None


def _job(number: int, line: int, words: list[str], environ: Mapping[str, str]) -> Job:
    size, *command = words
    if not command:
        raise BadRequest(
            f"Line {line}: no command after {printable(size)}.",
            next_step="Each line is: SIZE COMMAND ...",
        )
    if any("\0" in word for word in words):
        raise BadRequest(f"Line {line}: there is a NUL character in it.")
    try:
        find(command[0], environ)
    except CannotRun as problem:
        raise BadRequest(f"Line {line}: {problem}", next_step="No job was started.") from None
    return Job(number, line, printable(size), tuple(command))
