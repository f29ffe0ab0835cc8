"""Locks on existing instances, so that two brokers do not hand out the same one.

It is a convention between brokers, not a boundary: ``flock`` on the instance's device nodes, or on
the node of a GPU that is handed out whole. The nodes are there for all users, nobody but root can
replace them, and the kernel drops a lock with the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from jupyter_mig import errors
from jupyter_mig.broker import processes


class Claims:
    """The locks held now, by instance. The kernel drops them when the process ends."""

    def __init__(self) -> None:
        self._locks: dict[str, dict[Path, int]] = {}

    def take(self, instance_id: str, paths: tuple[Path, ...]) -> None:
        """Lock an instance; raises InUse if somebody else has it. Taking it again is harmless."""
        if instance_id in self._locks:
            return
        # Looked at first: who merely opens a node may be taken for somebody who computes there.
        if processes.lockers(paths):
            raise _not_ours(paths[0], "another broker has it")
        taken: dict[Path, int] = {}
        try:
            for path in paths:
                taken[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                fcntl.flock(taken[path], fcntl.LOCK_EX | fcntl.LOCK_NB)
                _require_same(path, taken[path])
        except OSError as error:
            _close(taken)
            raise _not_ours(path, str(error.strerror)) from error
        self._locks[instance_id] = taken

    def renew(self, paths: tuple[Path, ...]) -> None:
        """Lock again what we hold at ``paths`` if the nodes there were replaced: a lock stays with
        the old node. Raises InUse if somebody else was faster.
        """
        for instance_id, held in list(self._locks.items()):
            if tuple(held) == paths and not all(_is_same(*lock) for lock in held.items()):
                self.drop(instance_id)
                self.take(instance_id, paths)

    def drop(self, instance_id: str) -> None:
        """Unlock an instance; one that is not locked is fine."""
        _close(self._locks.pop(instance_id, {}))

    def close(self) -> None:
        """Unlock all."""
        for instance_id in list(self._locks):
            self.drop(instance_id)


def _require_same(path: Path, locked: int) -> None:
    """A node may be replaced while it is being locked; then the lock is on nothing."""
    if not _is_same(path, locked):
        raise FileNotFoundError(0, "it was replaced just now")


def _is_same(path: Path, locked: int) -> bool:
    try:
        return os.path.samestat(os.fstat(locked), path.lstat())
    except OSError:
        return False


def _not_ours(path: Path, reason: str) -> errors.InUse:
    return errors.InUse("The slice cannot be locked", situation=f"{path}: {reason}.")


def _close(files: dict[Path, int]) -> None:
    for file in files.values():
        os.close(file)
