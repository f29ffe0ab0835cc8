"""Who is let in by the TCP door: users of the Hub, by their tokens."""

from __future__ import annotations

import asyncio
import logging

import msgspec
from tornado.httputil import HTTPServerRequest

from jupyter_mig import errors
from jupyter_mig.broker.crowd import Crowd
from jupyter_mig.broker.peer import Peer
from jupyter_mig.broker.remote.hub import Hub
from jupyter_mig.broker.remote.owners import Owners

log = logging.getLogger(__name__)

_SCHEMES = ("bearer", "token")
_ADMINISTRATION = "/v1/admin"
_NONE = -1


class HubUsers(msgspec.Struct, frozen=True):
    """An audience. ``names`` are what this door may be called: a page that somebody else's name
    server leads here says another one. ``crowd`` is also that of the other door: a user has one
    pace.
    """

    hub: Hub
    owners: Owners
    names: frozenset[str]
    crowd: Crowd

    async def admit(self, request: HTTPServerRequest) -> Peer:
        """The user whose token is shown. Its process is none that can be seen."""
        if request.host_name.lower().strip("[]") not in self.names:
            raise errors.BadRequest(
                f"This broker is not called {request.host_name[:80]}.",
                next_step="The administrator of the node can add the name to MIGBroker.hosts.",
            )
        if request.path.startswith(_ADMINISTRATION):
            raise errors.Unauthenticated(
                "Nobody is an administrator from afar.",
                next_step="Administer the node on the node itself: jupyter mig admin.",
            )
        try:
            name = await self.hub.user_of(_token(request))
            owner = await asyncio.to_thread(self.owners.owner, name)
        except errors.Unauthenticated as refusal:
            log.info("Refused %s: %s %s", request.remote_ip, refusal.message, refusal.situation)
            raise
        await self.crowd.take_turn(owner)
        return Peer(0, owner, _NONE)

    async def pace(self, uid: int, asks: int) -> None:
        """At the pace of one among many."""
        await self.crowd.ask(uid, asks)


def _token(request: HTTPServerRequest) -> str:
    """What the Authorization header holds; there must be exactly one."""
    given = request.headers.get_list("Authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() not in _SCHEMES or not token:
        raise errors.Unauthenticated(
            "Who asks?",
            situation="There is no token of a JupyterHub with the request.",
            next_step="Send one: Authorization: Bearer TOKEN.",
        )
    return token.strip()
