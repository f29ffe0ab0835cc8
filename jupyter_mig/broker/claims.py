"""Locks on existing instances, so that the brokers of two users do not hand out the same one.

It is a convention between brokers, not a boundary: ``flock`` on the instance's device nodes.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from jupyter_mig import errors


class Claims:
    """The locks held now, by instance. The kernel drops them when the process ends."""

    def __init__(self) -> None:
        self._locks: dict[str, list[int]] = {}

    def take(self, instance_id: str, paths: tuple[Path, ...]) -> None:
        """Lock an instance; raises InUse if somebody else has it. Taking it again is harmless."""
        if instance_id in self._locks:
            return
        taken: list[int] = []
        try:
            for path in paths:
                taken.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
                fcntl.flock(taken[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            _close(taken)
            raise errors.InUse(
                "The slice cannot be locked", situation=f"{path}: {error.strerror}."
            ) from error
        self._locks[instance_id] = taken

    def drop(self, instance_id: str) -> None:
        """Unlock an instance; one that is not locked is fine."""
        _close(self._locks.pop(instance_id, []))

    def close(self) -> None:
        """Unlock all."""
        for instance_id in list(self._locks):
            self.drop(instance_id)


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)
