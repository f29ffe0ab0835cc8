"""Asking the broker. It may die between any two words; the next one knows what it knew."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import quote

import msgspec

from jupyter_mig import __version__, errors
from jupyter_mig.client import connection, place, remote
from jupyter_mig.client.connection import Door, Gone, Question, Stranger
from jupyter_mig.client.heartbeats import Heartbeats
from jupyter_mig.client.settings import Settings
from jupyter_mig.client.starter import Starter
from jupyter_mig.wire import codec, meeting
from jupyter_mig.wire.messages import (
    MOST_REQUESTS,
    PROTOCOL,
    BatchRequest,
    BindRequest,
    BrokerView,
    ErrorBody,
    HistoryView,
    KeyView,
    LeaseRequest,
    LeaseView,
    NodeView,
    PlanRequest,
    PlanView,
    ReadingsView,
    ResizeRequest,
    understands,
)

Kind = TypeVar("Kind")
OnChange = Callable[[LeaseView], object]

NOT_YET = frozenset({"waiting", "creating", "doomed", "draining"})
"""States of a lease that :meth:`Client.acquire` sits out: it may yet be usable, or be over."""

LOOK_SECONDS = 5.0
"""How long a long poll lasts while nothing changes: the place in line may have."""

GIVE_BACK_SECONDS = 5.0
"""How long a cancelled :meth:`Client.acquire` tries to give back what it asked for."""

_REVIVALS = 5
_REVIVE_SECONDS = 0.2


class Client:
    """A broker's client, lazy: the first call finds or starts the broker, and so does any later
    one that finds it gone. Every call may be repeated by the broker's design, so it is, when the
    broker goes away before it answered: no lease is lost or doubled by that.

    All calls raise errors of :mod:`jupyter_mig.errors` and no others. Use it on one event loop at
    a time, never from two threads.
    """

    def __init__(self, settings: Settings, starter: Starter | None = None) -> None:
        """``starter`` is how a broker is started; by default, as ``settings`` say."""
        self._settings = settings
        self._explicit = settings.door is not None or settings.remote is not None
        directory = place.directory_for(settings)
        self._starter = starter or Starter(directory, settings)
        self.socket = settings.door or directory / meeting.SOCKET
        self._door = Door(self.socket, owners(settings), self._where_to_look())
        self._known_pid: int | None = None
        self._has_met = False
        self._heartbeats = Heartbeats(self._beat)
        self._giving_back: set[asyncio.Task[None]] = set()

    async def broker(self) -> BrokerView:
        """Who answers."""
        return await self._ask("GET", "/v1", BrokerView)

    async def node(self) -> NodeView:
        """GPUs, slices and sizes."""
        return await self._ask("GET", "/v1/node", NodeView)

    async def readings(self) -> ReadingsView:
        """What the slices are doing now."""
        return await self._ask("GET", "/v1/readings", ReadingsView)

    async def history(self) -> HistoryView:
        """What the slices of this user's leases did in the last minutes."""
        return await self._ask("GET", "/v1/history", HistoryView)

    async def plan(self, request: PlanRequest) -> PlanView:
        """Whether a mix of sizes would fit, and where; nothing is changed."""
        return await self._ask("POST", "/v1/plan", PlanView, request)

    async def leases(self) -> list[LeaseView]:
        """This user's live leases."""
        return await self._ask("GET", "/v1/leases", list[LeaseView])

    async def request(self, request: LeaseRequest) -> LeaseView:
        """Ask for a slice, once. The lease may be waiting still. Raises what refused it."""
        view = await self._insist(
            "POST", "/v1/leases", LeaseView, request, hold_seconds=request.wait_seconds
        )
        self._heartbeats.follow(view)
        return view

    async def request_all(self, requests: Sequence[LeaseRequest]) -> list[LeaseView]:
        """Ask for several slices, planned together; a lease for each, in their order.

        A lease that was refused is released and has a ``refusal``. More than
        :data:`~jupyter_mig.wire.messages.MOST_REQUESTS` are asked for in portions.
        """
        leases: list[LeaseView] = []
        for start in range(0, len(requests), MOST_REQUESTS):
            batch = BatchRequest(tuple(requests[start : start + MOST_REQUESTS]))
            answered = await self._insist("POST", "/v1/batches", list[LeaseView], batch)
            for view in answered:
                self._heartbeats.follow(view)
            leases += answered
        return leases

    async def lease(
        self, lease_id: str, seen: int | None = None, wait_seconds: float = 0
    ) -> LeaseView:
        """One lease; with ``seen``, once its version is another or the wait is over."""
        return await self._ask(
            "GET", _news_path(lease_id, seen, wait_seconds), LeaseView, hold_seconds=wait_seconds
        )

    async def acquire(self, request: LeaseRequest, on_change: OnChange | None = None) -> LeaseView:
        """A lease with a slice to use, however long the request is willing to wait for it.

        ``on_change`` is shown the lease whenever it looks different while it waits. Raises what
        refused it. Whatever else ends this call, cancellation above all, gives the lease back.
        """
        asking = asyncio.ensure_future(
            self.request(msgspec.structs.replace(request, wait_seconds=0))
        )
        try:
            view = await asyncio.shield(asking)
            return await self.until_usable(view, on_change)
        except errors.Refused:
            raise
        except BaseException:
            await self._give_back(asking)
            raise

    async def until_usable(self, view: LeaseView, on_change: OnChange | None = None) -> LeaseView:
        """The lease once it has a slice to use; raises what refused it. Unlike :meth:`acquire` this
        gives nothing back when cancelled.
        """
        while view.state in NOT_YET:
            if on_change is not None:
                on_change(view)
            path = _news_path(view.lease_id, view.version, LOOK_SECONDS)
            view = await self._insist("GET", path, LeaseView, hold_seconds=LOOK_SECONDS)
        if view.state == "released":
            refusal = view.refusal or ErrorBody(errors.LeaseEnded.kind, "The lease has ended.")
            raise codec.error_in(refusal)
        return view

    async def key(self, lease_id: str) -> str:
        """What opens readings of that lease's slice, and nothing else, for its kernel. Empty: the
        broker is of a version that knows no keys.
        """
        try:
            return (await self._ask("GET", f"{_path(lease_id)}/key", KeyView)).key
        except errors.BadRequest:
            return ""

    async def bind(self, lease_id: str, pid: int) -> LeaseView:
        """Tie a lease to the process of its kernel: this process, or one it started."""
        path = f"{_path(lease_id)}/kernel"
        view = await self._insist("PUT", path, LeaseView, BindRequest(pid))
        self._heartbeats.follow(view, pid)
        return view

    async def renew(self, lease_id: str) -> LeaseView:
        """Keep a lease whose kernel will be started again."""
        view = await self._insist("POST", f"{_path(lease_id)}/renewal", LeaseView)
        self._heartbeats.follow(view)
        return view

    async def resize(self, lease_id: str, size: str) -> LeaseView:
        """Have room kept for another size; raises NoRoom if it would not fit."""
        return await self._ask("POST", f"{_path(lease_id)}/resize", LeaseView, ResizeRequest(size))

    async def release(self, lease_id: str) -> LeaseView:
        """Give a lease back, or take the request back. Doing so twice is harmless."""
        view = await self._ask("DELETE", _path(lease_id), LeaseView)
        self._heartbeats.forget(lease_id)
        return view

    def close(self) -> None:
        """Stop giving back what cancelled calls had asked for, and saying of leases that they are
        in use where the broker cannot see that. Nothing else stays open.
        """
        self._heartbeats.close()
        for task in self._giving_back:
            task.cancel()

    # -- waiting for a slice

    async def _give_back(self, asking: asyncio.Future[LeaseView]) -> None:
        """Release whatever was asked for, even if we are cancelled again meanwhile."""
        task = asyncio.ensure_future(self._released(asking))
        self._giving_back.add(task)
        task.add_done_callback(self._giving_back.discard)
        await asyncio.shield(task)

    async def _released(self, asking: asyncio.Future[LeaseView]) -> None:
        async def release() -> None:
            await self.release((await asking).lease_id)

        try:
            await asyncio.wait_for(release(), GIVE_BACK_SECONDS)
        except (errors.JupyterMigError, asyncio.TimeoutError):
            # Refused: there is nothing to give back. Unreachable: the lease hangs on this
            # process and on its kernel, and ends with them or with the grace for binding one.
            return

    # -- asking

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[Kind],
        message: object = None,
        *,
        hold_seconds: float = 0,
    ) -> Kind:
        question = self._question(method, path, message, hold_seconds)
        return _read(await self._persistently(lambda: self._put(question)), kind)

    async def _insist(
        self,
        method: str,
        path: str,
        kind: type[Kind],
        message: object = None,
        *,
        hold_seconds: float = 0,
    ) -> Kind:
        """As :meth:`_ask`, of what a kernel's start hangs on: it sits out the restart of a broker
        that others start.
        """
        question = self._question(method, path, message, hold_seconds)
        away_seconds = self._settings.away_seconds if self._explicit else 0
        return _read(await self._persistently(lambda: self._put(question), away_seconds), kind)

    def _question(self, method: str, path: str, message: object, hold_seconds: float) -> Question:
        body = codec.encode(message) if message is not None else None
        return Question(method, path, body, hold_seconds + self._settings.answer_seconds)

    async def _persistently(
        self, attempt: Callable[[], Awaitable[connection.Answer]], away_seconds: float = 0
    ) -> connection.Answer:
        """Ask again when the broker went away, which the next one makes good: a few times, and for
        as long as it may be away.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + away_seconds
        revivals = 0
        while revivals < _REVIVALS or loop.time() < give_up_at:
            try:
                return await attempt()
            except Gone:  # noqa: PERF203 - trying again is what the loop is for
                await self._revive()
                revivals += 1
        raise errors.BrokerUnreachable(
            "The broker goes away before it answers.",
            situation=self._where_it_should_be(),
            next_step=self._where_to_look(),
        )

    async def _put(self, question: Question) -> connection.Answer:
        """Put a question to the broker we know, after making its acquaintance if it is new."""
        while True:
            if self._known_pid is None:
                await self._meet()
            try:
                return await self._put_once(question, self._known_pid)
            except Stranger:
                self._known_pid = None

    async def _put_once(
        self, question: Question, known_pid: int | None = None
    ) -> connection.Answer:
        if self._settings.remote is not None:
            return await remote.ask(self._settings.remote, question)
        return await connection.ask(self._door, question, known_pid)

    async def _beat(self, lease_id: str) -> None:
        """Say that a lease's holder lives. On the heartbeats' thread: touches nothing of ours."""
        path = f"{_path(lease_id)}/heartbeat"
        try:
            answer = await self._put_once(Question("PUT", path, b"", self._settings.answer_seconds))
        except Gone as gone:
            raise errors.BrokerUnreachable("The broker does not answer.") from gone
        _read(answer, LeaseView)

    async def _meet(self) -> None:
        """Make sure that the broker speaks our language and has the driver that we asked for."""
        if self._settings.remote is None:
            place.require_short(self.socket)
        question = Question("GET", "/v1", None, self._settings.answer_seconds)
        answer = await self._put_once(question)
        self._require_ours(_read(answer, BrokerView))
        self._known_pid = answer.pid
        self._has_met = True

    def _require_ours(self, broker: BrokerView) -> None:
        if not understands(broker.protocol):
            raise errors.ForeignBroker(
                f"The broker speaks protocol {broker.protocol}, this client {PROTOCOL}.",
                situation=f"It is jupyter-mig {broker.version}, this is {__version__}.",
                next_step="Install the same version on both sides, then end the broker's process "
                f"({broker.pid}): kernels keep their slices.",
            )
        ours = broker.driver == self._settings.driver
        if not ours and (not self._explicit or broker.simulated != self._settings.simulated):
            raise errors.ForeignBroker(
                "The broker has another driver than the one asked for.",
                situation=f"It has {broker.driver}, asked for was {self._settings.driver}.",
                next_step="Set JUPYTER_MIG_DRIVER alike on both sides.",
            )

    async def _revive(self) -> None:
        """Have a broker started; or, if it is not ours to start, give it a moment to be back."""
        if not self._explicit:
            await self._starter.start()
        elif self._has_met:
            await asyncio.sleep(_REVIVE_SECONDS)
        else:
            raise self._nobody()

    def _nobody(self) -> errors.BrokerUnreachable:
        if self._settings.remote is None and not self._is_the_nodes():
            return errors.BrokerUnreachable(
                "No broker answers.",
                situation=f"JUPYTER_MIG_SOCKET names {self.socket}.",
                next_step="Unset it to have a broker started, or start the one that it names.",
            )
        return errors.BrokerUnreachable(
            "The broker of this node does not answer."
            if self._settings.remote is None
            else "No broker answers.",
            situation=self._where_it_should_be(),
            next_step=self._where_to_look(),
        )

    def _is_the_nodes(self) -> bool:
        system = self._settings.system
        return system is not None and self.socket == system.socket

    def _where_it_should_be(self) -> str:
        if self._settings.remote is not None:
            return f"JUPYTER_MIG_URL names {self._settings.remote.url}."
        return f"It should listen at {self.socket}."

    def _where_to_look(self) -> str:
        if self._settings.remote is not None:
            return "The administrator of that node can see why: MIGBroker.listen."
        if self._is_the_nodes():
            return "The administrator can see why: systemctl status jupyter-mig."
        return f"See {meeting.DIARY} there."


def owners(settings: Settings) -> frozenset[int]:
    """As whom the broker may run: as we do, or as this node's does where that listens."""
    system = settings.system
    ours = frozenset({os.getuid()})
    if system is not None and settings.door == system.socket:
        return ours | system.owners
    return ours


def _path(lease_id: str) -> str:
    return f"/v1/leases/{quote(lease_id, safe='')}"


def _news_path(lease_id: str, seen: int | None, wait_seconds: float) -> str:
    query = f"?wait_seconds={wait_seconds}" + (f"&seen={seen}" if seen is not None else "")
    return f"{_path(lease_id)}{query}"


def _read(answer: connection.Answer, kind: type[Kind]) -> Kind:
    """The message in an answer, or the error, raised."""
    try:
        if answer.status < 400:
            return msgspec.json.decode(answer.body, type=kind)
        error = codec.error_in(msgspec.json.decode(answer.body, type=ErrorBody))
    except msgspec.MsgspecError as unreadable:
        raise errors.BrokerError(
            f"The broker gave an answer that cannot be read (status {answer.status}).",
            situation=str(unreadable),
        ) from unreadable
    raise error
