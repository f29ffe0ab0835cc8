"""Who of the node's owners is which user of the Hub, and in which of its groups.

Whoever came by TCP was told of by the Hub with his token. About others the Hub is asked, if the
broker has a token to do so with; otherwise their groups are not known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.callers.owners import Owners
from jupyter_mig.broker.remote.hub import Hub, HubUser

REMEMBER_SECONDS = 60.0
"""As long as for the node's own groups."""

RETRY_SECONDS = 15.0
"""How long what was known before holds on when the Hub gives no answer."""

_MOST_REMEMBERED = 4096


class Asking(msgspec.Struct, frozen=True):
    """How the Hub is asked about users that did not show a token: with the one in the file."""

    hub: Hub
    token_file: Path

    async def about(self, name: str) -> HubUser:
        """Raises HubUnreachable if the Hub gives no answer, or the file has no token."""
        return await self.hub.user_named(name, await asyncio.to_thread(self._token))

    def _token(self) -> str:
        try:
            token = self.token_file.read_text("ascii").strip()
        except (OSError, ValueError) as error:
            raise _no_token(str(error)) from error
        if not token or not token.isprintable():
            raise _no_token("there is no token in it")
        return token


class _Known(NamedTuple):
    user: HubUser
    until_seconds: float


class Members:
    """Users of the Hub by owner. The last answer holds while the Hub gives none."""

    def __init__(
        self,
        owners: Owners,
        asking: Asking | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owners = owners
        self._asking = asking
        self._clock = clock
        self._known: dict[int, _Known] = {}

    def tell(self, owner: int, user: HubUser) -> None:
        """The Hub has just said who that owner is."""
        if len(self._known) >= _MOST_REMEMBERED:
            now = self._clock()
            self._known = {
                owner: each for owner, each in self._known.items() if each.until_seconds > now
            }
        self._known[owner] = _Known(user, self._clock() + REMEMBER_SECONDS)

    async def of(self, owner: int, account: str) -> HubUser | None:
        """Who that owner is in the Hub; ``account`` is the name of his account on the node. None:
        nobody. His groups are empty where there is no way to ask.

        Raises HubUnreachable if the Hub is to be asked, gives no answer, and has never given one.
        """
        known = self._known.get(owner)
        if known is not None and known.until_seconds > self._clock():
            return known.user
        name = self.name_of(owner, account)
        if not name:
            return None
        if self._asking is None:
            return HubUser(name)
        return await self._asked(self._asking, owner, name)

    def name_of(self, owner: int, account: str) -> str:
        """What the Hub calls an owner whose account on the node has that name; empty: nothing."""
        return self.owners.hub_name(owner, account)

    async def _asked(self, asking: Asking, owner: int, name: str) -> HubUser:
        try:
            self.tell(owner, await asking.about(name))
        except errors.HubUnreachable:
            known = self._known.get(owner)
            if known is None:
                raise
            self._known[owner] = _Known(known.user, self._clock() + RETRY_SECONDS)
        return self._known[owner].user


def _no_token(problem: str) -> errors.HubUnreachable:
    return errors.HubUnreachable(
        "The broker cannot ask JupyterHub about users.",
        situation=f"MIGBroker.hub_token_file: {problem}.".replace("'", ""),
        next_step="The administrator of the node can correct it.",
    )
