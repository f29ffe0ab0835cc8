"""The directories of a node's broker: made, or taken where they are nobody else's.

What is taken is given away, and closed to others: to do that to ``/run``, or to a directory that
others use, would hand them to whoever the broker is, or take them from everybody.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.system.cgroups import FILTERED
from jupyter_mig.broker.system.configuration import MIGBroker

REGISTER = "made.json"
"""The helper's memory, in its directory."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SHARED = stat.S_ISVTX | stat.S_IWGRP | stat.S_IWOTH


class Directory(msgspec.Struct, frozen=True):
    """One that is to be ``uid``'s alone. ``ours`` are the files in it that may be root's: a service
    manager gives what is in its directories back to root.
    """

    path: Path
    mode: int
    uid: int
    gid: int
    ours: frozenset[str] = frozenset()

    def make(self) -> None:
        """Have it. Raises BadPlace for one that is not ours to take."""
        _expect_no_link(self.path)
        self.path.mkdir(mode=self.mode, parents=True, exist_ok=True)
        # What was looked at is what is given away, whoever may put a link there meanwhile.
        opened = self._open()
        try:
            self._expect_ours(opened)
            os.fchown(opened, self.uid, self.gid)
            os.fchmod(opened, self.mode)
        finally:
            os.close(opened)

    def check(self) -> None:
        """Raise BadPlace if it is there and is not ours to take. What this user may not see is
        passed over: root's start looks again.
        """
        _expect_no_link(self.path)
        with suppress(FileNotFoundError, PermissionError):
            opened = self._open()
            try:
                self._expect_ours(opened)
            finally:
                os.close(opened)

    def _open(self) -> int:
        return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    def _expect_ours(self, opened: int) -> None:
        found = os.fstat(opened)
        if found.st_uid not in (0, self.uid):
            raise errors.BadPlace(f"{self.path} belongs to somebody else.")
        if found.st_mode & _SHARED:
            raise self._not_ours(f"Others may write there: {stat.filemode(found.st_mode)}.")
        if found.st_uid == self.uid and (self.uid != 0 or not found.st_mode & _OTHERS):
            return
        others = sorted({*os.listdir(opened)} - self.ours)
        if others:
            raise self._not_ours(f"It is root's, and not empty: {others[0][:60]!r} is in it.")

    def _not_ours(self, why: str) -> errors.BadPlace:
        return errors.BadPlace(
            f"{self.path} is not the broker's alone.",
            situation=why,
            next_step="Name one that is not there yet, or is empty and root's: the broker makes it,"
            " and closes it to others.",
        )


def needed(own: MIGBroker, user: pwd.struct_passwd, *, listens: bool) -> Iterator[Directory]:
    """Those of the helper and of the broker that runs as ``user``; ``listens``: whether it makes
    its socket itself.
    """
    uid, gid = user.pw_uid, user.pw_gid
    kept = frozenset({REGISTER, f"{REGISTER}.new", FILTERED})
    yield Directory(Path(own.helper_directory), 0o700, 0, 0, kept)
    yield Directory(Path(own.state_directory), 0o700, uid, gid)
    # Where a manager listens the directory stays its: systemd gives all of what is in it to root,
    # the socket too, if it was given away.
    if listens:
        door = Path(own.socket)
        yield Directory(door.parent, 0o755, uid, gid, frozenset({door.name}))


def check(own: MIGBroker) -> None:
    """Raise BadPlace for a directory that a start would refuse. A socket that is there already in
    a directory of root's was made by a manager.
    """
    with suppress(KeyError):  # the start tells that there is no such user, and how to make him
        user = pwd.getpwnam(own.user)
        for each in needed(own, user, listens=not Path(own.socket).is_socket()):
            each.check()


def _expect_no_link(path: Path) -> None:
    if path.is_symlink():
        raise errors.BadPlace(f"{path} is a link.", next_step="Remove it.")
