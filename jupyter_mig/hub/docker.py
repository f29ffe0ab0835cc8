"""DockerSpawner, with a slice for each server: one lease from when it is spawned until it stops.

Needs ``dockerspawner``, so nothing here imports this module: name it in ``jupyterhub_config.py``.
::

    c.JupyterHub.spawner_class = "jupyter_mig.hub.docker.SliceDockerSpawner"
"""

from __future__ import annotations

import asyncio
import inspect
import os
import uuid
from http import HTTPStatus
from typing import Any

from dockerspawner import DockerSpawner
from jupyterhub.traitlets import Callable
from jupyterhub.utils import maybe_future
from tornado.web import HTTPError
from traitlets import Bool, Float, TraitError, Unicode, Union, validate

from jupyter_mig import errors
from jupyter_mig.client import Client, Settings, remote
from jupyter_mig.hub.containers import docker_host_config
from jupyter_mig.wire.messages import LeaseRequest, LeaseView

_LEASE = "mig_lease_id"
_AS_LONG_AS_ALLOWED_SECONDS = 1e9
_OVER = frozenset({"doomed", "draining", "released"})
_ENDED = (errors.UnknownLease, errors.LeaseEnded)
_MEANT_FOR_SERVICES = "access:services"
_TOKEN_SECONDS = 60
_GIVE_BACK_TRIES = 12

_giving_back: set[asyncio.Task[None]] = set()
"""The Hub drops its spawners before they may have been heard."""


class Refusal(HTTPError):
    """An error for the user. Of other errors the Hub keeps the words to itself, and after some in
    a row it ends (``consecutive_failure_limit``), unless their status is below 500.
    """

    def __init__(self, error: errors.JupyterMigError) -> None:
        trouble = isinstance(error, errors.BrokerError)
        status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.CONFLICT
        super().__init__(status, str(error), reason=error.kind)
        self.jupyterhub_message = str(error)


class SliceDockerSpawner(DockerSpawner):  # type: ignore[misc]  # it has no types
    """The container gets the slice of its lease and no other GPU, and is stopped when the lease is
    over. The lease is asked for with the server's own token, so it is its user's.
    """

    broker_url = Unicode(
        help="The broker's TCP door on the node of the containers, `https://node7:8123`."
    ).tag(config=True)
    slice_size = Union(
        [Callable(), Unicode()],
        help="The size, or a function of the spawner that returns it; empty: a server without GPU.",
    ).tag(config=True)
    slice_wait_seconds = Float(
        30.0,
        min=0,
        help="How long to wait in line for a slice. Less than `start_timeout`.",
    ).tag(config=True)
    remove = Bool(
        default_value=True,
        help="A container that was kept would be started again on its old slice.",
    ).tag(config=True)

    extra_host_config: Any  # DockerSpawner's
    _lease_id = ""
    _leasing: Client | None = None
    _granted: LeaseView | None = None

    @validate("remove")
    def _must_remove(self, proposal: Any) -> bool:
        if not proposal["value"]:
            raise TraitError(
                "SliceDockerSpawner.remove cannot be false:"
                " a container that is started again has its old slice, now somebody else's."
            )
        return True

    async def start(self) -> Any:
        """Get a slice, then start the container. Raises what refused it, as a page of the Hub.

        If the container cannot be started the Hub polls, or stops it: either gives the slice back.
        """
        size = self.slice_size(self) if callable(self.slice_size) else self.slice_size
        if size:
            # No longer than the Hub waits for us: nobody would give such a slice back.
            try:
                await asyncio.wait_for(self._acquire(size), self.start_timeout)
            except errors.JupyterMigError as error:
                raise Refusal(error) from error
        return await super().start()

    async def create_object(self) -> Any:
        """Create the container, with its slice among what was configured."""
        if self._granted is None:
            return await super().create_object()
        configured = self.extra_host_config
        wish = self._eval_if_callable(configured)
        wish = await wish if inspect.isawaitable(wish) else wish
        self.extra_host_config = {**wish, **docker_host_config(self._granted)}
        try:
            return await super().create_object()
        finally:
            self.extra_host_config = configured

    async def poll(self) -> Any:
        """As DockerSpawner. Beyond that, a server without its slice is stopped, and a slice without
        its server is given back.
        """
        status = await super().poll()
        if not self._lease_id or self._start_pending:
            return status
        if status is not None:
            await self._give_back(self._leasing, self._lease_id)
            self._forget_lease()
            return status
        reason = await self._why_over()
        if reason:
            self.log.warning("%s is stopped: %s", self._log_name, reason)
            await self.stop()
        return reason or None

    async def stop(self, now: bool = False) -> None:  # noqa: FBT001, FBT002 - as the Hub calls it
        """Stop the container, then give its slice back, so that nobody else gets it too early."""
        lease_id = self._lease_id
        client = await self._client_of_lease() if lease_id else None
        await super().stop(now)
        await self._give_back(client, lease_id)

    def get_state(self) -> dict[str, Any]:
        """With the lease's id. The token is no part of it: the container has it."""
        state: dict[str, Any] = super().get_state()
        return {**state, _LEASE: self._lease_id} if self._lease_id else state

    def load_state(self, state: dict[str, Any]) -> None:
        """The next poll says to the broker that the server lives."""
        super().load_state(state)
        self._lease_id = state.get(_LEASE, "")

    def clear_state(self) -> None:
        """Nothing runs any more."""
        super().clear_state()
        self._forget_lease()

    async def _acquire(self, size: str) -> None:
        self._forget_lease()
        self._leasing = client = self._client_with(self.api_token)
        lease = await client.acquire(
            LeaseRequest(
                kernel_id=f"server-{uuid.uuid4().hex}",
                size=size,
                label=f"server {self.name}".strip(),
                patience_seconds=self.slice_wait_seconds,
                silence_seconds=_AS_LONG_AS_ALLOWED_SECONDS,
            )
        )
        self._lease_id, self._granted = lease.lease_id, lease
        await self._hold(client)

    async def _hold(self, client: Client) -> LeaseView:
        """Tie the lease to this Hub, whose beats keep it: the broker cannot see containers."""
        return await client.bind(self._lease_id, os.getpid())

    def _client_with(self, token: str) -> Client:
        named = {
            remote.URL_VARIABLE: self.broker_url,
            remote.HUB_TOKEN_VARIABLE: token,
            remote.TOKEN_FILE_VARIABLE: "",  # of the Hub's own environment
        }
        return Client(Settings.from_environment({**os.environ, **named}))

    async def _client_of_lease(self) -> Client:
        """After the Hub was started again it begins to beat."""
        if self._leasing is None:
            self._leasing = self._client_with(await self._token_in_container())
        return self._leasing

    async def _token_in_container(self) -> str:
        container = await self.get_object() or {"Config": {"Env": []}}
        pairs = (line.partition("=") for line in container["Config"]["Env"])
        return next((value for name, _, value in pairs if name == remote.HUB_TOKEN_VARIABLE), "")

    async def _passing_token(self) -> str:
        """One of the user's own, for who has no container left to read one in. The Hub's database
        has hashes alone.
        """
        wanted = self.server_token_scopes
        wanted = await maybe_future(wanted(self)) if callable(wanted) else wanted
        scopes = [each for each in wanted if each.startswith(_MEANT_FOR_SERVICES)]
        note = f"Slice of {self._log_name}"
        token: str = self.user.new_api_token(note=note, scopes=scopes, expires_in=_TOKEN_SECONDS)
        return token

    async def _why_over(self) -> str:
        """Empty while the lease is ours, or nobody can say."""
        try:
            if self._leasing is None:
                lease = await self._hold(await self._client_of_lease())
            else:
                lease = await self._leasing.lease(self._lease_id)
        except (*_ENDED, errors.NotTheHolder) as error:
            return str(error)
        except errors.JupyterMigError as error:
            self.log.warning("%s: its slice cannot be asked for: %s", self._log_name, error)
            return ""
        return "Its slice is no longer its own." if lease.state in _OVER else ""

    async def _give_back(self, client: Client | None, lease_id: str) -> None:
        """At once or, where the broker or the Hub cannot be asked yet, as soon as they can."""
        if not lease_id or (client is not None and await self._is_over(client, lease_id)):
            return
        task = asyncio.ensure_future(self._give_back_later(lease_id))
        _giving_back.add(task)
        task.add_done_callback(_giving_back.discard)

    async def _is_over(self, client: Client, lease_id: str) -> bool:
        try:
            await client.release(lease_id)
        except _ENDED:
            return True
        except errors.JupyterMigError as error:
            self.log.warning("%s: its slice is free later: %s", self._log_name, error)
            return False
        return True

    async def _give_back_later(self, lease_id: str) -> None:
        """For an hour. The token that a stopped server had is revoked, and beats have ended:
        silence ends the lease where this does not.
        """
        for number in range(_GIVE_BACK_TRIES):
            client = self._client_with(await self._passing_token())
            if await self._is_over(client, lease_id):
                return
            await asyncio.sleep(2.0**number)

    def _forget_lease(self) -> None:
        if self._leasing is not None:
            self._leasing.close()
        self._leasing, self._lease_id, self._granted = None, "", None
