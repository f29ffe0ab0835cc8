"""The directory that one broker at a time lives in: lock, socket, files.

The socket is made and removed only under the lock, so nobody ever removes another's. One that came
with the process, because a service manager made it, is left where it is.
"""

from __future__ import annotations

import fcntl
import os
import socket as sockets
from contextlib import suppress
from pathlib import Path

from jupyter_mig import errors
from jupyter_mig.wire import codec, meeting


class Premises:
    """A broker's directory. Enter before anything else; the lock ends with the process."""

    door: sockets.socket | None = None
    """What listens there already, and goes on when this broker ends."""

    def __init__(self, directory: Path, socket: Path | None = None) -> None:
        """``socket`` is where its door is, if not in the directory."""
        self.directory = directory
        self.socket = socket or directory / meeting.SOCKET
        self.events = directory / meeting.EVENTS
        self.silicon = directory / meeting.SILICON
        self.keys = directory / meeting.KEYS
        self.diary = directory / meeting.DIARY
        self._lock: int | None = None

    def enter(self) -> bool:
        """Take the lock and clear the doorstep; False if another broker lives here.

        Raises BadPlace if the directory cannot be used.
        """
        try:
            lock = os.open(
                self.directory / meeting.LOCK,
                os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
                0o600,
            )
        except OSError as error:
            raise errors.BadPlace(
                f"The broker cannot use its directory: {error.strerror}.",
                situation=f"The directory is {self.directory}.",
                next_step="Set XDG_RUNTIME_DIR to a directory of yours on a local disk.",
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        with suppress(OSError):  # a full disk; the number is for people
            os.ftruncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
        self._clear_doorstep()
        return True

    def report(self, error: errors.JupyterMigError) -> bool:
        """Leave a note for whoever started this broker: why it did not come up. False if there
        is no room even for that.
        """
        note = self.directory / meeting.START_ERROR
        draft = note.with_suffix(".draft")
        try:
            draft.write_bytes(codec.encode(codec.body_of(error)) + b"\n")
            draft.replace(note)
        except OSError:
            return False
        return True

    def close_up(self) -> None:
        """Remove the socket; those who come late find nobody and start another broker. At a door
        that stays they wait for the next one.
        """
        if self.door is None:
            self.socket.unlink(missing_ok=True)

    def leave(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _clear_doorstep(self) -> None:
        """Remove what a predecessor left: its socket, its note."""
        with suppress(OSError):  # a read-only directory; writing the log will say so clearly
            self.close_up()
            (self.directory / meeting.START_ERROR).unlink(missing_ok=True)
