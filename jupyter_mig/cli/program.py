"""The command that somebody wants to have run: found as a shell finds it, and become."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path, PurePath
from typing import NoReturn

from jupyter_mig.cli.exits import Exit

_SHELL = "/bin/sh"
_LONGEST_LABEL = 80
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class CannotRun(Exception):
    """There is no such command, or it is none. ``status`` is the one shells give for that."""

    def __init__(self, problem: str, status: Exit) -> None:
        super().__init__(problem)
        self.status = status


def find(name: str, environ: Mapping[str, str]) -> Path:
    """The file that a command means, looked up on ``PATH``; raises :class:`CannotRun`."""
    folders = [""] if "/" in name else environ.get("PATH", os.defpath).split(os.pathsep)
    # Not Path.is_file: it raises where a folder may not be entered.
    there = [path for folder in folders if os.path.isfile(path := Path(folder, name))]  # noqa: PTH113
    runnable = next((path for path in there if os.access(path, os.X_OK)), None)
    if runnable is not None:
        return runnable
    if there or ("/" in name and Path(name).is_dir()):
        raise CannotRun(f"{name} is not an executable file.", Exit.NOT_EXECUTABLE)
    raise CannotRun(f"There is no command {name}.", Exit.NO_COMMAND)


def label(command: Sequence[str]) -> str:
    """The command up to its first option: what follows may be secret, and the label is stored."""
    words = [PurePath(command[0]).name, *takewhile(lambda word: word[:1] != "-", command[1:])]
    return " ".join(words)[:_LONGEST_LABEL]


def become(file: Path, command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by the command: same pid, terminal, open files; raises CannotRun.

    Python ignores two signals, which would be inherited; commands expect the default.
    """
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    sys.stderr.flush()
    try:
        _execute(file, command, environ)
    except OSError as error:
        status = Exit.NO_COMMAND if error.errno == errno.ENOENT else Exit.NOT_EXECUTABLE
        raise CannotRun(f"{command[0]} cannot be run: {error.strerror}.", status) from error


def _execute(file: Path, command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    try:
        os.execve(file, list(command), environ)  # noqa: S606 - that is what we were asked for
    except OSError as error:
        if error.errno != errno.ENOEXEC or _is_binary(file):
            raise
        # A script without a first line that names its interpreter: as execvp(3) and shells do.
        os.execve(_SHELL, [_SHELL, str(file), *command[1:]], environ)  # noqa: S606 - likewise


def _is_binary(file: Path) -> bool:
    """Whether it is a program for another machine rather than a script."""
    with file.open("rb") as beginning:
        return b"\0" in beginning.read(256)
