"""Who is behind a number: in user namespaces of his own a user may be 65,536 others (subuid(5)).

Limits are for people. A number that has an account is a person. One without is its user's, if a
range of subordinate numbers says so; those count together, and get nothing: their user may ask.

Ranges are read from a file. Where nsswitch.conf has them come from elsewhere (``subid: sss``),
nobody can say whose a number without an account is, and it gets nothing either; nor does one from
2**31 on, whatever that file says: there FreeIPA gives out ranges, and users of a JupyterHub who
have no account have their numbers. Any other number without an account is root's to give, as to a
container: it is a person.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from jupyter_mig import errors
from jupyter_mig.broker.callers.accounts import Account, Accounts
from jupyter_mig.broker.callers.owners import LEAST

SUBORDINATES = Path("/etc/subuid")
SWITCH = Path("/etc/nsswitch.conf")

REMEMBER_SECONDS = 60.0
"""How long what was read holds."""

Person: TypeAlias = int | str
"""Who counts as one: a number of his own; or by name or number the user whose subordinates all
these are; empty: numbers that are nobody's.
"""

NOBODY = ""
_MOST_REMEMBERED = 4096


class _Range(NamedTuple):
    owner: str
    numbers: range


class _Ranges(NamedTuple):
    """As read last. ``owner`` of a number, empty if it is in none; ``elsewhere``: there are more,
    which cannot be read.
    """

    owner: Callable[[int], str]
    elsewhere: bool
    until: float


class Persons:
    """Tells numbers of people from those that somebody may be whenever he likes."""

    def __init__(
        self,
        subordinates: Path = SUBORDINATES,
        switch: Path = SWITCH,
        look_up: Accounts | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = (subordinates, switch)
        self._accounts = look_up or Accounts()
        self._clock = clock
        self._read = self._reread()

    def behind(self, uid: int) -> Person:
        """Who counts for that number, as far as can be told at once."""
        account = self._accounts.known(uid)
        if account is not None and account.name:
            return uid
        return self._now().owner(uid) or (NOBODY if self._is_nobodys(uid, account) else uid)

    async def require_own(self, uid: int) -> None:
        """Raise NotAllowed for a number without an account that is, or may be, some user's to be.
        It may take a while where accounts are asked for over the network.
        """
        ranges = self._now()
        if not (ranges.elsewhere or uid >= LEAST or ranges.owner(uid)):
            return
        if not (await self._accounts.of(uid)).name:
            raise self._not_his_own(uid)

    def _is_nobodys(self, uid: int, account: Account | None) -> bool:
        return uid >= LEAST or (self._now().elsewhere and account is not None)

    def _not_his_own(self, uid: int) -> errors.NotAllowed:
        subordinates, switch = self._files
        ask = "Ask as that user (rootless containers: --userns=keep-id), or by the TCP door."
        owner = self._now().owner(uid)
        if owner:
            return errors.NotAllowed(
                f"User {uid} is a subordinate of user {owner}, who has limits of his own.",
                situation=f"{subordinates} says so.",
                next_step=ask,
            )
        why = f"{switch} has them come from elsewhere" if uid < LEAST else f"from {LEAST} on"
        return errors.NotAllowed(
            f"User {uid} has no account on this node.",
            situation=f"It may be a subordinate of any user ({why}).",
            next_step=ask,
        )

    def _now(self) -> _Ranges:
        if self._read.until <= self._clock():
            self._read = self._reread()
        return self._read

    def _reread(self) -> _Ranges:
        subordinates, switch = self._files
        found = tuple(_ranges_in(_lines(subordinates)))
        owner = lru_cache(_MOST_REMEMBERED)(partial(_owner_in, found))
        return _Ranges(owner, _are_elsewhere(_lines(switch)), self._clock() + REMEMBER_SECONDS)


def _lines(file: Path) -> list[str]:
    with suppress(OSError):  # no such file: nothing is said
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    return []


def _ranges_in(lines: list[str]) -> Iterator[_Range]:
    for line in lines:
        with suppress(ValueError):  # no such line
            owner, first, count = line.split(":")
            yield _Range(owner, range(int(first), int(first) + int(count)))


def _owner_in(ranges: tuple[_Range, ...], uid: int) -> str:
    return next((each.owner for each in ranges if uid in each.numbers), "")


def _are_elsewhere(lines: list[str]) -> bool:
    """Whether nsswitch.conf names another source of subordinate numbers than the file."""
    said = (line.partition("#")[0].partition(":") for line in lines)
    sources = {word for name, _, words in said if name.strip() == "subid" for word in words.split()}
    return bool(sources - {"files"})
