"""Who is let in by the TCP door: users of the Hub, by their tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream

from jupyter_mig import errors
from jupyter_mig.broker.callers.complaints import refusal_line
from jupyter_mig.broker.callers.crowd import Crowd
from jupyter_mig.broker.callers.owners import Owners
from jupyter_mig.broker.callers.peer import Peer
from jupyter_mig.broker.remote.hub import Hub
from jupyter_mig.broker.remote.members import Members
from jupyter_mig.broker.remote.strangers import Strangers

_SCHEMES = ("bearer", "token")
_ADMINISTRATION = "/v1/admin"
_NONE = -1


class HubUsers(msgspec.Struct, frozen=True):
    """An audience. ``names`` are what this door may be called: a page that somebody else's name
    server leads here says another one. ``crowd`` is also that of the other door: a user has one
    pace. ``members`` is told of all who come; ``strangers`` are the connections of others.
    ``kept_out``: a filter for all cgroups lets none of them in to any slice.
    """

    hub: Hub
    owners: Owners
    names: frozenset[str]
    crowd: Crowd
    members: Members
    strangers: Strangers
    kept_out: bool = False

    async def admit(self, request: HTTPServerRequest) -> Peer:
        """The user whose token is shown. Its process is none that can be seen."""
        self._require_name(request)
        if request.path.startswith(_ADMINISTRATION):
            raise errors.Unauthenticated(
                "Nobody is an administrator from afar.",
                next_step="Administer the node on the node itself: jupyter mig admin.",
            )
        with self.strangers.asked_about(_stream(request)):
            owner = await self._owner(request)
        self.strangers.recognize(_stream(request), owner)
        await self.crowd.take_turn(owner)
        if self.kept_out and _asks_for_slices(request):
            raise _unseen_cgroup()
        return Peer(0, owner, _NONE)

    async def look(self, request: HTTPServerRequest, owner: Callable[[], int]) -> Peer:
        """Whoever has the key of a slice, in the place of its owner."""
        self._require_name(request)
        uid = owner()
        self.strangers.recognize(_stream(request), uid)
        await self.crowd.take_turn(uid)
        return Peer(0, uid, _NONE)

    async def _owner(self, request: HTTPServerRequest) -> int:
        token = _token(request)
        if self.hub.last_known(token) is None:
            await self.strangers.turn(_stream(request), str(request.remote_ip))
        if not token:
            raise _no_token()
        try:
            user = await self.hub.user_of(token)
        except errors.HubUnreachable:
            # While nobody can say that a holder is gone, it is not: a beat gives nothing new.
            last = self.hub.last_known(token) if _is_beat(request) else None
            if last is None:
                raise
            return await asyncio.to_thread(self.owners.owner, last.name)
        owner = await asyncio.to_thread(self.owners.owner, user.name)
        self.members.tell(owner, user)
        return owner

    def _require_name(self, request: HTTPServerRequest) -> None:
        if request.host_name.lower().strip("[]") not in self.names:
            raise errors.BadRequest(
                f"This broker is not called {request.host_name[:80]}.",
                next_step="The administrator of the node can add the name to MIGBroker.hosts.",
            )

    async def pace(self, uid: int, asks: int) -> None:
        """At the pace of one among many."""
        await self.crowd.ask(uid, asks)

    async def work(self, uid: int, milliseconds: int) -> None:
        """At the pace of one among many."""
        await self.crowd.work(uid, milliseconds)

    def tell_refused(self, who: int | str, error: errors.JupyterMigError, path: str) -> None:
        """As often as anybody may fill the log."""
        self.crowd.complaints.tell(who, error.kind, refusal_line(who, error, path))


def _stream(request: HTTPServerRequest) -> IOStream:
    # HTTP1Connection's; Tornado types only the interface that all connections share.
    stream: IOStream = request.connection.stream  # type: ignore[union-attr]
    return stream


def _asks_for_slices(request: HTTPServerRequest) -> bool:
    return request.method == "POST" and request.path.endswith(("/leases", "/batches"))


def _unseen_cgroup() -> errors.NotAllowed:
    return errors.NotAllowed(
        "No slice of this node can be opened by who comes by TCP.",
        situation="They are opened to single cgroups, and the broker cannot see yours.",
        next_step="The administrator of the node can name a part of the cgroups in"
        " MIGBroker.cgroup_filter, or give your server the broker's socket.",
    )


def _is_beat(request: HTTPServerRequest) -> bool:
    """Whether it does nothing but say that a holder lives."""
    return request.method == "PUT" and request.path.endswith("/heartbeat")


def _token(request: HTTPServerRequest) -> str:
    """What the Authorization header holds; there must be exactly one. Empty: nothing of use."""
    given = request.headers.get_list("Authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() in _SCHEMES else ""


def _no_token() -> errors.Unauthenticated:
    return errors.Unauthenticated(
        "Who asks?",
        situation="There is no token of a JupyterHub with the request.",
        next_step="Send one: Authorization: Bearer TOKEN.",
    )
