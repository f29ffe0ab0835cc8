"""What all routes of the door have in common, and those that only tell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, ClassVar, Protocol, TypeAlias

import msgspec
import tornado.web
from tornado.httputil import HTTPServerRequest

from jupyter_mig import errors
from jupyter_mig.broker.callers.complaints import refusal_line
from jupyter_mig.broker.callers.crowd import Crowd
from jupyter_mig.broker.callers.peer import Peer
from jupyter_mig.broker.callers.persons import Persons
from jupyter_mig.broker.door.refusals import Refusals
from jupyter_mig.broker.door.views import Views, broker_view
from jupyter_mig.broker.service import Service
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import NodeView

log = logging.getLogger(__name__)

LONGEST_BODY_BYTES = 64 * 1024

VIEWS_A_MILLISECOND = 64
"""How many leases are shown in one, at the least."""


class Audience(Protocol):
    """Whom a door lets in."""

    async def admit(self, request: HTTPServerRequest) -> Peer:
        """Who asks; raises an error for whoever shall not."""

    async def look(self, request: HTTPServerRequest, owner: Callable[[], int]) -> Peer:
        """Who looks at one slice, with its key. ``owner`` tells whose the slice is, or raises what
        is wrong with the key.
        """

    async def pace(self, uid: int, asks: int) -> None:
        """Return when a user may ask for so many slices; raises TooMany if not."""

    async def work(self, uid: int, milliseconds: int) -> None:
        """Return when a user may keep the broker busy for about so long; raises TooMany if not."""

    def tell_refused(self, who: int | str, error: errors.JupyterMigError, path: str) -> None:
        """Log that a user, or whoever is at an address, was refused something."""


class OneUser(msgspec.Struct, frozen=True):
    """A broker's audience: its own user."""

    uid: int
    mode: ClassVar[int] = 0o600

    async def admit(self, request: HTTPServerRequest) -> Peer:
        """Who asks; raises ForeignBroker for anybody else."""
        peer = _caller(request)
        if peer.uid != self.uid:
            raise errors.ForeignBroker(
                f"This broker serves user {self.uid}, not user {peer.uid}.",
                next_step="Unset JUPYTER_MIG_SOCKET; then your own broker is used.",
            )
        return peer

    async def look(self, request: HTTPServerRequest, owner: Callable[[], int]) -> Peer:  # noqa: ARG002 - he is known anyway
        """Who asks, as ever."""
        return await self.admit(request)

    async def pace(self, uid: int, asks: int) -> None:
        """At once: he keeps nobody waiting but himself."""

    async def work(self, uid: int, milliseconds: int) -> None:
        """At once, likewise."""

    def tell_refused(self, who: int | str, error: errors.JupyterMigError, path: str) -> None:
        """Each time."""
        log.info("%s", refusal_line(who, error, path))


class Everybody(msgspec.Struct, frozen=True):
    """A system broker's audience: all users of the node, each for his own leases. ``crowd`` sees to
    it that none takes the whole door, ``persons`` that none is many.
    """

    crowd: Crowd = msgspec.field(default_factory=Crowd)
    persons: Persons = msgspec.field(default_factory=Persons)
    mode: ClassVar[int] = 0o666

    async def admit(self, request: HTTPServerRequest) -> Peer:
        """Who asks, when it is his turn: policy and ownership decide what each may have. Raises
        TooMany for one who has too many connections, NotAllowed for one who is not himself.
        """
        peer = await self._in_turn(request)
        try:
            await self.persons.require_own(peer.uid)
        except errors.NotAllowed as refusal:
            self.tell_refused(peer.uid, refusal, request.path)
            raise
        return peer

    async def look(self, request: HTTPServerRequest, owner: Callable[[], int]) -> Peer:  # noqa: ARG002 - the kernel tells who asks
        """Who asks, when it is his turn. The key serves whoever has it: a kernel may be in a
        container of its user's, under a number that is not his own.
        """
        return await self._in_turn(request)

    async def _in_turn(self, request: HTTPServerRequest) -> Peer:
        peer = _caller(request)
        await self.crowd.take_turn(self.persons.behind(peer.uid))
        return peer

    async def pace(self, uid: int, asks: int) -> None:
        """At the pace of one among many."""
        await self.crowd.ask(uid, asks)

    async def work(self, uid: int, milliseconds: int) -> None:
        """At the pace of one among many."""
        await self.crowd.work(uid, milliseconds)

    def tell_refused(self, who: int | str, error: errors.JupyterMigError, path: str) -> None:
        """As often as anybody may fill the log."""
        person = self.persons.behind(who) if isinstance(who, int) else who
        self.crowd.complaints.tell(person, error.kind, refusal_line(who, error, path))


AT_THE_DOOR = (
    errors.BadRequest,
    errors.ForeignBroker,
    errors.NotTheHolder,
    errors.TooMany,
    errors.Unauthenticated,
    errors.UnknownLease,
)
"""Refusals that the ledger never hears of, of these very kinds: an unknown size is a request that
is wrong, too, but the ledger's own are told as it decides them. What only administrators may do is
told where that is found out, as the ledger says NotAllowed, too.
"""

Local: TypeAlias = OneUser | Everybody
"""Whom a broker serves on its Unix socket; ``mode`` is that of the socket."""


def _caller(request: HTTPServerRequest) -> Peer:
    """The process at the other end of the Unix socket; raises Cancelled if it has hung up."""
    # HTTP1Connection's; Tornado types only the interface that all connections share.
    connection: Any = request.connection
    if connection.stream.closed():
        raise errors.Cancelled("Who asked has hung up.")
    peer: Peer = connection.context.address
    return peer


class Route(tornado.web.RequestHandler):
    """A route that knows who asks, speaks JSON, and answers errors as errors."""

    service: Service
    driver: HardwarePort
    audience: Audience
    peer: Peer

    def initialize(self, service: Service, driver: HardwarePort, audience: Audience) -> None:
        """Tornado hands over what the application was made with. Called for each request."""
        self.service = service
        self.driver = driver
        self.audience = audience
        self.hung_up = asyncio.Event()

    def on_connection_close(self) -> None:
        """The asker hung up: nobody is waiting for the answer. Called by Tornado."""
        self.hung_up.set()

    async def prepare(self) -> None:
        """Learn who asks, and refuse who is none of ours. Called before the method."""
        self.peer = await self.admitted()
        if len(self.request.body) > LONGEST_BODY_BYTES:
            raise errors.BadRequest(f"The body is longer than {LONGEST_BODY_BYTES} bytes.")

    async def admitted(self) -> Peer:
        """Who asks."""
        return await self.audience.admit(self.request)

    def set_default_headers(self) -> None:
        """Everything is JSON."""
        self.set_header("Content-Type", "application/json")

    def answer(self, message: object) -> None:
        """Send a message."""
        self.finish(codec.encode(message))

    def views(self) -> Views:
        """The state now, as the asker may see it."""
        return self._views_of(self.peer.uid)

    def _views_of(self, viewer: int) -> Views:
        service = self.service
        return Views(
            service.state,
            service.rules,
            service.clock(),
            viewer,
            service.stocks,
            locked=service.locked,
            heartbeats=service.heartbeats,
        )

    async def node_of(self, viewer: int) -> NodeView:
        """The whole picture, with what a user's limits leave him of it."""
        limits, why = None, ""
        try:
            limits = await self.service.policy.limits(viewer)
        except errors.HubUnreachable as error:  # the GPUs are there all the same
            why = error.message
        return self._views_of(viewer).node(self.driver, limits, why)

    def query(self) -> dict[str, str]:
        """The URL's query; of each name the last value."""
        return {name: self.get_query_argument(name) for name in self.request.query_arguments}

    def refusals(self) -> Refusals:
        """The refusals as they read now."""
        return Refusals(self.service.state, self.service.rules, self.service.clock())

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send whatever was raised. Called by Tornado, with ``exc_info`` if it was raised."""
        _, error, _ = kwargs.get("exc_info", (None, None, None))
        if not isinstance(error, errors.JupyterMigError):
            error = _as_ours(status_code, self.request.method, self.request.path)
        if type(error) in AT_THE_DOOR:
            self.audience.tell_refused(self._who(), error, self.request.path)
        self.set_status(error.status)
        self.answer(codec.body_of(error))

    def _who(self) -> int | str:
        """Who asks, whether admitted or not: the uid, or by TCP the address."""
        if hasattr(self, "peer"):
            return self.peer.uid
        connection: Any = self.request.connection  # see _caller
        address = connection.context.address
        return address.uid if isinstance(address, Peer) else str(self.request.remote_ip)

    def log_exception(
        self,
        typ: type[BaseException] | None,  # noqa: ARG002 - Tornado's signature
        value: BaseException | None,
        tb: TracebackType | None,  # noqa: ARG002 - Tornado's signature
    ) -> None:
        """Keep tracebacks of bugs, for us; an answer is not a bug. Called by Tornado."""
        if not isinstance(value, errors.JupyterMigError | tornado.web.HTTPError):
            log.error("%s %s failed", self.request.method, self.request.path, exc_info=value)


def _as_ours(status: int, method: str | None, path: str) -> errors.JupyterMigError:
    """Tornado's own errors, and bugs, as errors of ours."""
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return errors.BadRequest(f"There is no {method} for this path.", situation=path)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.BadRequest("The request cannot be understood.", situation=path)
    return errors.JupyterMigError(
        "The broker met an error of its own.",
        next_step="Its log, broker.log beside the socket, has the details. Please report it.",
    )


class BrokerRoute(Route):
    """``/v1``: who answers."""

    def get(self) -> None:
        """Name, version, driver."""
        self.answer(broker_view(self.driver))


class NodeRoute(Route):
    """``/v1/node``: GPUs, slices, sizes."""

    async def get(self) -> None:
        """As the asker may see it."""
        self.answer(await self.node_of(self.peer.uid))


class NowhereRoute(Route):
    """Every other path."""

    async def prepare(self) -> None:
        """There is nothing here, whatever the method."""
        await super().prepare()
        raise errors.BadRequest(
            "There is no such path.", situation="Paths begin with /v1: node, leases."
        )
