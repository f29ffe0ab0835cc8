"""The broker's door: HTTP/1.1 with JSON on a Unix socket (``curl --unix-socket`` works).

=======  ============================  ===================================================
method   path                          what
=======  ============================  ===================================================
GET      /v1                           who answers
GET      /v1/openapi.json              all of this, for programs
GET      /v1/node                      GPUs, slices, sizes
GET      /v1/readings                  what the slices are doing now
GET      /v1/history                   what the asker's slices did in the last minutes
GET      /v1/slice                     the slice of one lease, for whoever has its key
POST     /v1/plan                      would these sizes fit? changes nothing
GET      /v1/leases                    the asker's live leases
POST     /v1/leases                    ask for a slice
POST     /v1/batches                   ask for several at once, planned together
GET      /v1/leases/{id}               one lease; long poll with ``seen`` and ``wait_seconds``
GET      /v1/leases/{id}/key           the key that opens ``/v1/slice`` for it
DELETE   /v1/leases/{id}               give it back, or take the request back
PUT      /v1/leases/{id}/kernel        tie it to the kernel's process
PUT      /v1/leases/{id}/heartbeat     whoever it hangs on lives, where the broker cannot see that
POST     /v1/leases/{id}/renewal       the kernel will be started again
POST     /v1/leases/{id}/resize        keep room for another size
=======  ============================  ===================================================

What administrators may do is below ``/v1/admin``: see :mod:`.admin_routes`. A system broker may
also listen on TCP, for containers and other machines: see :mod:`.remote`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.web import Application, RequestHandler

from jupyter_mig import errors
from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.callers.peer import peer_of, readable
from jupyter_mig.broker.callers.persons import Person
from jupyter_mig.broker.door import admin_routes
from jupyter_mig.broker.door.history_route import HistoryRoute
from jupyter_mig.broker.door.lease_routes import (
    BatchesRoute,
    HeartbeatRoute,
    KernelRoute,
    KeyRoute,
    LeaseRoute,
    LeasesRoute,
    RenewalRoute,
    ResizeRoute,
    UnderWay,
)
from jupyter_mig.broker.door.openapi import OpenapiRoute
from jupyter_mig.broker.door.plan_route import PlanRoute
from jupyter_mig.broker.door.readings_route import ReadingsRoute
from jupyter_mig.broker.door.routes import (
    Audience,
    BrokerRoute,
    Everybody,
    Local,
    NodeRoute,
    NowhereRoute,
)
from jupyter_mig.broker.door.slice_route import SliceRoute
from jupyter_mig.broker.gauges import Gauges
from jupyter_mig.broker.memory.annals import Annals
from jupyter_mig.broker.remote.listening import Listening
from jupyter_mig.broker.remote.strangers import Strangers
from jupyter_mig.broker.service import Service
from jupyter_mig.nvml.port import HardwarePort

log = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that may wait to be accepted: a thousand kernels may ask at once."""

_LONGEST_READ_BYTES = 256 * 1024
"""A body longer than this is not read at all; up to here a too long one gets a clear answer."""

LONGEST_HEADERS_BYTES = 16 * 1024

_LOOK_SECONDS = 0.01

_LEASE = r"/v1/leases/([0-9A-Za-z_-]+)"


class _Server(HTTPServer):
    """Tornado's server, which also counts connections: those that are open, and all there were;
    and, where it is for ``everybody``, those of each; by TCP, ``strangers`` until they are known.
    ``inherited`` is the listening socket as long as those who had waited at it are not all in.
    """

    def initialize(self, *arguments: object, **given: object) -> None:
        """Tornado calls this instead of a constructor."""
        self.open_connections = 0
        self.visits = 0
        self.everybody: Everybody | None = None
        self.strangers: Strangers | None = None
        self.inherited: socket.socket | None = None
        self._persons: dict[IOStream, Person] = {}
        super().initialize(*arguments, **given)  # type: ignore[arg-type]  # handed through

    def handle_stream(self, stream: IOStream, address: tuple[object, ...]) -> None:
        """A connection was accepted."""
        if stream.socket.family == socket.AF_UNIX:
            # Tornado keeps the address of a connection. Of this kind it is who connected, looked at
            # now: later the pid may be another's.
            waited = self.inherited is not None
            address = peer = peer_of(stream.socket, waited=waited)
            self._let_in_who_waited()
            if self.everybody is not None:
                person = self.everybody.persons.behind(peer.uid)
                if not self.everybody.crowd.enter(person):
                    stream.close()
                    return
                self._persons[stream] = person
        if self.strangers is not None:
            self.strangers.enter(stream, str(address[0]))
        self.open_connections += 1
        self.visits += 1
        super().handle_stream(stream, address)

    def _let_in_who_waited(self) -> None:
        if self.inherited is not None and not readable(self.inherited.fileno()):
            self.inherited = None

    def on_close(self, server_conn: object) -> None:
        """A connection is over."""
        self.open_connections -= 1
        if isinstance(server_conn, HTTP1ServerConnection):  # Tornado has no others
            self._left(server_conn.stream)
        super().on_close(server_conn)

    def _left(self, stream: IOStream) -> None:
        if self.everybody is not None:
            self.everybody.crowd.leave(self._persons.pop(stream))
        if self.strangers is not None:
            self.strangers.leave(stream)


class Door:
    """The open door. Construct it on the service's loop once the service has started. Without
    ``annals`` there are no administrators.
    """

    def __init__(
        self,
        service: Service,
        driver: HardwarePort,
        keys: Keys,
        audience: Local,
        annals: Annals | None = None,
    ) -> None:
        self._service = service
        self._driver = driver
        self._keys = keys
        self._annals = annals
        self._mode = audience.mode
        self._gauges = Gauges(service, driver)
        self._under_way: UnderWay = defaultdict(set)
        self._server = self._serving(audience)
        self._server.everybody = audience if isinstance(audience, Everybody) else None
        self._remote: _Server | None = None

    def _serving(self, audience: Audience, tls: ssl.SSLContext | None = None) -> _Server:
        """A server for an audience; it does not listen yet."""
        service, driver, keys = self._service, self._driver, self._keys
        given = {"service": service, "driver": driver, "audience": audience}
        gauged = {**given, "gauges": self._gauges}
        asking = {**given, "under_way": self._under_way}
        routes = [
            (r"/v1/?", BrokerRoute, given),
            (r"/v1/openapi.json", OpenapiRoute, given),
            (r"/v1/node", NodeRoute, given),
            (r"/v1/readings", ReadingsRoute, gauged),
            (r"/v1/slice", SliceRoute, {**gauged, "keys": keys}),
            (r"/v1/history", HistoryRoute, gauged),
            (r"/v1/plan", PlanRoute, given),
            (r"/v1/leases", LeasesRoute, asking),
            (r"/v1/batches", BatchesRoute, asking),
            (_LEASE, LeaseRoute, given),
            (f"{_LEASE}/key", KeyRoute, {**given, "keys": keys}),
            (f"{_LEASE}/kernel", KernelRoute, given),
            (f"{_LEASE}/heartbeat", HeartbeatRoute, given),
            (f"{_LEASE}/renewal", RenewalRoute, given),
            (f"{_LEASE}/resize", ResizeRoute, given),
            *admin_routes.rules(given, self._annals, self._gauges),
        ]
        application = Application(
            routes,
            default_handler_class=NowhereRoute,
            default_handler_args=given,
            log_function=_log_request,
        )
        return _Server(
            application,
            ssl_options=tls,
            max_body_size=_LONGEST_READ_BYTES,
            max_header_size=LONGEST_HEADERS_BYTES,
            idle_connection_timeout=service.settings.request,
            body_timeout=service.settings.request,
        )

    @property
    def open_connections(self) -> int:
        """How many there are now."""
        return self._server.open_connections

    @property
    def visits(self) -> int:
        """How many there have been."""
        return self._server.visits

    def open(self, path: Path) -> None:
        """Listen at ``path``. What is left of an older socket is replaced."""
        self.open_at(bind_unix_socket(str(path), mode=self._mode, backlog=BACKLOG))

    def open_at(self, listening: socket.socket) -> None:
        """Listen at a socket that does so already, for whoever made it."""
        listening.setblocking(False)  # noqa: FBT003 - the standard library's
        # Again: clients ask the kernel who listens, and it names who said so last.
        listening.listen(BACKLOG)
        self._server.inherited = listening if readable(listening.fileno()) else None
        self._server.add_socket(listening)
        self._gauges.start()

    def open_remotely(self, listening: Listening) -> None:
        """Listen on TCP, too, for users of a JupyterHub."""
        self._remote = self._serving(listening.audience, listening.tls)
        self._remote.strangers = listening.audience.strangers
        if listening.door is None:
            self._remote.add_sockets(_bound(listening))
        else:
            listening.door.setblocking(False)  # noqa: FBT003 - the standard library's
            self._remote.add_socket(listening.door)

    async def close(self) -> None:
        """Accept nobody any more and, once those who came are answered, hang up on everybody."""
        servers = [server for server in (self._server, self._remote) if server is not None]
        for server in servers:
            server.stop()
        await self._answer_all(servers)
        await self._gauges.stop()
        for server in servers:
            await server.close_all_connections()

    async def _answer_all(self, servers: Sequence[_Server]) -> None:
        """Return when only answers are left that wait for news, or after a moment: somebody may
        keep a connection for later.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._service.settings.last_answers
        while loop.time() < give_up_at:
            if sum(each.open_connections for each in servers) <= self._service.held_back:
                return
            await asyncio.sleep(_LOOK_SECONDS)


def _bound(listening: Listening) -> list[socket.socket]:
    try:
        return bind_sockets(listening.port, listening.host, backlog=BACKLOG)
    except OSError as error:
        raise errors.BadPlace(
            f"The broker cannot listen on TCP: {error.strerror}.",
            situation=f"MIGBroker.listen is {listening.host}:{listening.port}.",
        ) from error


def _log_request(handler: RequestHandler) -> None:
    log.debug("%d %s %s", handler.get_status(), handler.request.method, handler.request.uri)
