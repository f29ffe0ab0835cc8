"""Starting a broker, safely against any number of others who start one at the same time.

Whoever holds the starting lock starts a process; everybody waits until somebody answers at the
socket. The broker itself holds another lock for life, so a second process could do no harm.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import msgspec

from jupyter_mig import errors
from jupyter_mig.client import place
from jupyter_mig.client.settings import Settings
from jupyter_mig.wire import codec, meeting
from jupyter_mig.wire.messages import ErrorBody

COMMAND = (sys.executable, "-m", "jupyter_mig.broker")
_LOOK_SECONDS = 0.02


class Starter:
    """Starts brokers in one directory. ``command`` is how."""

    def __init__(
        self, directory: Path, settings: Settings, command: tuple[str, ...] = COMMAND
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._command = (
            *(*command, "--place", str(directory), "--driver", settings.driver),
            f"--inventory={settings.inventory}",
            f"--visible={settings.visible_devices}",
            f"--dcgm-exporter={settings.dcgm_exporter}",
            f"--keep-reading={settings.keep_reading}",
        )
        self._socket = directory / meeting.SOCKET

    async def start(self) -> None:
        """Return once a broker listens.

        Raises BadPlace or UnwritableLog if none can live there, what the broker's process left
        as its reason if it ended, and BrokerStartFailed if it did neither in time.
        """
        place.prepare(self._directory)
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._settings.start_seconds
        with self._opened_lock() as lock:
            while not self._listens():
                if _locked(lock):
                    await self._start_one(give_up_at)
                    return
                if loop.time() > give_up_at:
                    raise self._too_slow()
                await asyncio.sleep(_LOOK_SECONDS)

    async def _start_one(self, give_up_at: float) -> None:
        """Start processes until a broker listens: one that finds a broker leaving ends at once."""
        loop = asyncio.get_running_loop()
        process: subprocess.Popen[bytes] | None = None
        while not self._listens():
            if loop.time() > give_up_at:
                raise self._too_slow()
            if process is None:
                process = self._spawn()
            elif process.poll() is not None:
                self._require_success(process.returncode)
                process = None
            await asyncio.sleep(_LOOK_SECONDS)

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start a process that outlives us and shares nothing with us."""
        output = os.open(
            self._directory / meeting.OUTPUT,
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW,
            0o600,
        )
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(output)
        # If it ends before us, somebody has to take note, or it stays as a zombie.
        Thread(target=process.wait, name="broker", daemon=True).start()
        return process

    def _listens(self) -> bool:
        """Whether somebody accepts connections. A full backlog is somebody, too."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
            try:
                probe.connect(str(self._socket))
            except BlockingIOError:
                return True
            except OSError:
                return False
            return True

    @contextmanager
    def _opened_lock(self) -> Iterator[int]:
        """The file of the starting lock. A broker has to write here, so try whether one can."""
        path = self._directory / meeting.STARTING
        lock = -1
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            os.pwrite(lock, b"\n" * 4096, 0)
        except OSError as error:
            raise self._unwritable(str(error.strerror)) from error
        else:
            yield lock
        finally:
            if lock >= 0:
                os.close(lock)

    def _unwritable(self, reason: str) -> errors.UnwritableLog:
        return errors.UnwritableLog(
            f"The broker cannot write in its directory: {reason}.",
            situation=f"The directory is {self._directory}.",
            next_step="Make room on that disk, or make it writable; then try again.",
        )

    def _require_success(self, status: int) -> None:
        if status == 0:
            return
        if status == os.EX_CANTCREAT:
            raise self._unwritable("no room even to say why")
        try:
            note = (self._directory / meeting.START_ERROR).read_bytes()
            raise codec.error_in(msgspec.json.decode(note, type=ErrorBody))
        except (OSError, msgspec.MsgspecError):
            raise errors.BrokerStartFailed(
                f"The broker ended before it answered ({_ending(status)}).",
                situation=self._last_words(),
                next_step=f"See {meeting.DIARY} and {meeting.OUTPUT} in {self._directory}.",
            ) from None

    def _last_words(self) -> str:
        try:
            lines = (self._directory / meeting.OUTPUT).read_text(errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _too_slow(self) -> errors.BrokerStartFailed:
        return errors.BrokerStartFailed(
            f"The broker did not answer within {self._settings.start_seconds:.0f} s.",
            next_step=f"See {self._directory / meeting.DIARY}; then try again.",
        )


def _ending(status: int) -> str:
    """What ``Popen.returncode`` means: a broken library or too little memory ends by a signal."""
    return f"status {status}" if status >= 0 else f"killed by signal {-status}"


def _locked(lock: int) -> bool:
    """Take the lock if nobody has it. It ends when the file is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
