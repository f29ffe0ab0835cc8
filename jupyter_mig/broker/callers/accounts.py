"""The names and groups of users, as the system's databases say (``getent passwd``, ``group``)."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

REMEMBER_SECONDS = 60.0
"""How long an answer holds: a user who was given a group has to wait no longer."""

_MOST_REMEMBERED = 4096


class Account(NamedTuple):
    """A user's name, empty for one without an account, and the names of his groups."""

    name: str = ""
    groups: frozenset[str] = frozenset()

    def is_among(self, who: tuple[str, ...]) -> bool:
        """Whether one of ``who`` means this user: a name, ``@`` and a group, or ``*``."""
        return "*" in who or any(
            each[1:] in self.groups if each.startswith("@") else each == self.name != ""
            for each in who
        )


class _Known(NamedTuple):
    asked: asyncio.Task[Account]
    until: float


class Accounts:
    """Looks users up, and remembers. Never on the event loop: where accounts are asked for over the
    network, that may take a while.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[int, _Known] = {}

    async def of(self, uid: int) -> Account:
        """That user's account. Many who want to know at once ask once."""
        now, known = self._clock(), self._known.get(uid)
        if known is None or known.until <= now:
            self._forget_old(now)
            asked = asyncio.create_task(asyncio.to_thread(look_up, uid))
            known = self._known[uid] = _Known(asked, now + REMEMBER_SECONDS)
        return await asyncio.shield(known.asked)

    def known(self, uid: int) -> Account | None:
        """What was found when that user was last looked up; None if he was not, of late."""
        known = self._known.get(uid)
        found = known is not None and known.asked.done() and known.asked.exception() is None
        return known.asked.result() if known is not None and found else None

    def _forget_old(self, now: float) -> None:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known = {uid: each for uid, each in self._known.items() if each.until > now}


def uid_of(name: str) -> int | None:
    """The number of the user who is called so; None if nobody is. It may take a while."""
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None


def look_up(uid: int) -> Account:
    """Ask the system. One without an account has no name and no groups."""
    try:
        user = pwd.getpwuid(uid)
    except (KeyError, OverflowError):
        return Account()
    groups = set()
    for gid in os.getgrouplist(user.pw_name, user.pw_gid):
        with suppress(KeyError):  # a number without a name
            groups.add(grp.getgrgid(gid).gr_name)
    return Account(user.pw_name, frozenset(groups))
