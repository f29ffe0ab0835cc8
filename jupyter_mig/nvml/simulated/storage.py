"""Where a node's state is kept: in this process, or in a file that processes share.

Both kinds offer the same four things: read, update under a lock, one lock per GPU that is held
while an operation takes its time, and close. A file is replaced in one step, so a process killed
at any point leaves the old state or the new one; its flocks go with it.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from .processes import boot_id
from .silicon import Silicon, fresh
from .spec import NodeSpec

_Result = TypeVar("_Result")
_Change = Callable[[Silicon], tuple[Silicon, _Result]]


class StateError(ValueError):
    """A state file that cannot serve this node; the message says why and what to do."""


class Storage(Protocol):
    """The seam between the simulated silicon and where it lives."""

    def read(self) -> Silicon:
        """The state now."""

    def update(self, change: _Change[_Result]) -> _Result:
        """Apply a change to the newest state, alone; nothing is kept when it raises."""

    def gpu_lock(self, gpu: int) -> AbstractContextManager[None]:
        """Held while an operation on this GPU takes its time."""

    def close(self) -> None:
        """Let go of what is open."""


class Memory:
    """The state of a node that no other process sees."""

    def __init__(self, silicon: Silicon) -> None:
        self._silicon = silicon
        self._lock = threading.Lock()
        self._gpu_locks = tuple(threading.Lock() for _ in silicon.gpus)

    def read(self) -> Silicon:
        """The state now."""
        return self._silicon

    def update(self, change: _Change[_Result]) -> _Result:
        """Apply a change, alone."""
        with self._lock:
            self._silicon, result = change(self._silicon)
            return result

    @contextmanager
    def gpu_lock(self, gpu: int) -> Iterator[None]:
        """Held while an operation on this GPU takes its time."""
        with self._gpu_locks[gpu]:
            yield

    def close(self) -> None:
        """Nothing is open."""


class File:
    """The state of a node shared by processes through ``path`` (and lock files beside it)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._open_file: int | None = None
        self._inode = -1
        self._seen: Silicon | None = None

    @classmethod
    def opened(cls, path: Path, spec: NodeSpec) -> File:
        """The state in the file, which begins empty; StateError when it is another node's."""
        file = cls(path)
        with file._locked("lock"):
            state = file._load() if path.exists() else None
            if state is None or state.boot_id != boot_id():
                file._write(fresh(spec, boot_id()))
            elif (held := _node(state)) != (wanted := _node(spec)):
                raise StateError(
                    f"{path} holds the state of {held}, not of {wanted};"
                    " name another file, or remove this one"
                )
        return file

    def read(self) -> Silicon:
        """The state now; decoded again only when the file was replaced.

        The file read last stays open, so its inode number cannot be given to a newer one.
        """
        with self._lock:
            try:
                if self._seen is None or self._replaced():
                    self._seen = self._load()
            except FileNotFoundError:
                raise StateError(
                    f"{self._path} is not there: no node keeps its state in it"
                ) from None
            return self._seen

    def update(self, change: _Change[_Result]) -> _Result:
        """Apply a change to the newest state, alone among all processes."""
        with self._locked("lock"):
            before = self.read()
            after, result = change(before)
            if after is not before:
                self._write(after)
            return result

    def gpu_lock(self, gpu: int) -> AbstractContextManager[None]:
        """Held while an operation on this GPU takes its time."""
        return self._locked(f"gpu{gpu}.lock")

    def close(self) -> None:
        """Close the file read last."""
        with self._lock:
            if self._open_file is not None:
                os.close(self._open_file)
            self._open_file = self._seen = None

    def _replaced(self) -> bool:
        return self._path.stat().st_ino != self._inode

    def _load(self) -> Silicon:
        file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        if self._open_file is not None:
            os.close(self._open_file)
        found = os.fstat(file)
        self._open_file, self._inode = file, found.st_ino
        text = os.pread(file, found.st_size, 0)
        try:
            return msgspec.json.decode(text, type=Silicon)
        except msgspec.MsgspecError as error:
            raise StateError(
                f"{self._path} does not read as the state of a simulated node ({error});"
                " remove it to start with an empty node"
            ) from error

    def _write(self, silicon: Silicon) -> None:
        draft = self._path.with_name(f"{self._path.name}.draft")
        draft.write_bytes(msgspec.json.encode(silicon))
        draft.replace(self._path)

    @contextmanager
    def _locked(self, suffix: str) -> Iterator[None]:
        # Opened afresh each time: a flock belongs to the open file, so threads exclude one
        # another as processes do.
        name = self._path.with_name(f"{self._path.name}.{suffix}")
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _node(of: Silicon | NodeSpec) -> str:
    """What must be the same for all who share a state."""
    where = f", files in {of.root}" if of.root else ""
    return f"{', '.join(of.models)} (driver {of.driver}{where})"
