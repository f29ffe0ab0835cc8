"""Other programs' files, which may be anything: only a plain one of a sensible length is read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_MOST_BYTES = 4 * 1024 * 1024


class Unreadable(Exception):
    """It is there, and what it says is not known. ``closed``: to this user; root would know."""

    def __init__(self, path: Path, why: str, *, closed: bool = False) -> None:
        super().__init__(f"{path} cannot be read: {why}")
        self.closed = closed


def read(path: Path) -> str | None:
    """Its text; None if there is no such file. Raises :class:`Unreadable`.

    A pipe in its place would never end; opened so, it does not even begin.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # a name with a zero byte
        why = getattr(error, "strerror", None) or str(error)
        raise Unreadable(path, why, closed=isinstance(error, PermissionError)) from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Unreadable(path, "it is no plain file")
        with os.fdopen(file, "rb", closefd=False) as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:  # a process that has ended meanwhile
        raise Unreadable(path, error.strerror or "") from error
    finally:
        os.close(file)
    if len(content) > _MOST_BYTES:
        raise Unreadable(path, "it is too long")
    return content.decode(errors="replace")


def names(directory: Path) -> list[str]:
    """What is in a directory, in order; nothing if there is none. Raises :class:`Unreadable`."""
    try:
        return sorted(path.name for path in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        closed = isinstance(error, PermissionError)
        raise Unreadable(directory, error.strerror or "", closed=closed) from error


def below(root: Path, path: str) -> Path:
    """An absolute path on the system whose root is there."""
    return root / path.lstrip("/")
