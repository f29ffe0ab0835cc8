"""Locks on existing instances, so that two brokers do not hand out the same one.

It is a convention between brokers, not a boundary: ``flock`` on the instance's device nodes, or on
the node of a GPU that is handed out whole. The nodes are there for all users, nobody but root can
replace them, and the kernel drops a lock with the process that holds it.

To claim takes a lock of one's own, which nobody gets while there is another. To keep it is shared
with whoever uses the slice, so that their locks go on without ours.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from jupyter_mig import errors
from jupyter_mig.broker import processes

LINGER_SECONDS = 0.5
"""How long those who had an instance through us may still have it locked after their lease: what a
kernel has forked has its lock, and is gone a moment after it.
"""


class _Nodes(Mapping[str, tuple[str, ...]]):
    """Looked up one by one: whoever is granted a slice is told only of its own."""

    def __init__(self, locks: Mapping[str, Mapping[Path, int]]) -> None:
        self._locks = locks

    def __getitem__(self, instance_id: str) -> tuple[str, ...]:
        return tuple(map(str, self._locks[instance_id]))

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._locks))

    def __len__(self) -> int:
        return len(self._locks)


class Claims:
    """The locks held now, by instance. The kernel drops them when the process ends."""

    def __init__(self) -> None:
        self._locks: dict[str, dict[Path, int]] = {}
        self._dropped_at: dict[str, float] = {}

    @property
    def nodes(self) -> Mapping[str, tuple[str, ...]]:
        """The device nodes locked now, by instance."""
        return _Nodes(self._locks)

    def take(self, instance_id: str, paths: tuple[Path, ...]) -> None:
        """Lock an instance; raises InUse if somebody else has it. Taking it again is harmless."""
        give_up_at = self._dropped_at.get(instance_id, 0.0) + LINGER_SECONDS
        while instance_id not in self._locks:
            try:
                self._locks[instance_id] = _claimed(paths)
            except errors.InUse:  # noqa: PERF203 - trying again is what the loop is for
                if time.monotonic() >= give_up_at:
                    raise
                time.sleep(0.01)

    def occupy(self, instance_id: str, paths: tuple[Path, ...]) -> None:
        """Lock an instance that was made just now; raises InUse if somebody was faster. Nobody can
        be at work on it, so it is not looked at first.
        """
        self._locks[instance_id] = _locked(paths, fcntl.LOCK_EX, fcntl.LOCK_SH)

    def join(self, instance_id: str, paths: tuple[Path, ...]) -> None:
        """Lock an instance that is ours, beside those who use it; raises InUse if somebody claims
        it now. Joining again is harmless.
        """
        if instance_id not in self._locks:
            self._locks[instance_id] = _locked(paths, fcntl.LOCK_SH)

    def renew(self, paths: tuple[Path, ...]) -> None:
        """Lock again what we hold at ``paths`` if the nodes there were replaced: a lock stays with
        the old node. Raises InUse if somebody else was faster.
        """
        for instance_id, held in list(self._locks.items()):
            if tuple(held) == paths and not all(_is_same(*lock) for lock in held.items()):
                self.drop(instance_id)
                self.join(instance_id, paths)

    def drop(self, instance_id: str) -> None:
        """Unlock an instance; one that is not locked is fine."""
        held = self._locks.pop(instance_id, {})
        if held:
            now = time.monotonic()
            recent = {k: at for k, at in self._dropped_at.items() if now < at + LINGER_SECONDS}
            self._dropped_at = {**recent, instance_id: now}
        _close(held)

    def close(self) -> None:
        """Unlock all."""
        for instance_id in list(self._locks):
            self.drop(instance_id)


def _claimed(paths: tuple[Path, ...]) -> dict[Path, int]:
    """Prove that nobody has a lock, and keep a shared one."""
    # Looked at first: who merely opens a node may be taken for somebody who computes there.
    others = processes.lockers(paths)
    if others:
        pids = ", ".join(map(str, sorted(others)))
        raise _not_ours(paths[0], f"another broker has it, or what used it before (process {pids})")
    return _locked(paths, fcntl.LOCK_EX, fcntl.LOCK_SH)


def _locked(paths: tuple[Path, ...], *hows: int) -> dict[Path, int]:
    """Lock all, each in one way after the other. Linux changes a lock at one blow; were it not so,
    the change could fail, and then somebody was faster.
    """
    taken: dict[Path, int] = {}
    try:
        for path in paths:
            taken[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            for how in hows:
                fcntl.flock(taken[path], how | fcntl.LOCK_NB)
            _require_same(path, taken[path])
    except OSError as error:
        _close(taken)
        raise _not_ours(path, str(error.strerror)) from error
    return taken


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
