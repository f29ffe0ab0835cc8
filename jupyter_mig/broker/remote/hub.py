"""Whose a token is, and in which groups a user is: the Hub says (JupyterHub's REST API).

``GET /user`` with somebody's token tells both, whatever the token's scopes. ``GET /users/{name}``
is asked with a token of our own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

from tornado.httpclient import HTTPError, HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from jupyter_mig import errors

REMEMBER_SECONDS = 30.0
"""How long an answer of the Hub holds: a token that was revoked opens no longer than that."""

REMEMBER_REFUSED_SECONDS = 5.0
"""A token may just have been given its scopes."""

MOST_REMEMBERED = 4096
TIMEOUT_SECONDS = 10.0
LONGEST_TOKEN = 256

MARK = "hub:"
"""Before names of the Hub's users and groups, where they could be taken for the node's own."""

_SEES_GROUPS = "read:users:groups"
_MOST_QUESTIONS = 16
_LARGEST_ANSWER_BYTES = 1024 * 1024


class HubUser(NamedTuple):
    """A user of the Hub, and the Hub's groups that he is in."""

    name: str
    groups: frozenset[str] = frozenset()

    def is_among(self, who: tuple[str, ...]) -> bool:
        """Whether one of ``who`` means this user: ``hub:`` and a name, or ``hub:@`` and a group.
        A user whose name begins with ``@`` is no group.
        """
        words = (each.removeprefix(MARK) for each in who if each.startswith(MARK))
        return any(
            word[1:] in self.groups if word.startswith("@") else word == self.name != ""
            for word in words
        )


class _Answer(NamedTuple):
    """The user whose token it is, or why it opens nothing; and until when that holds."""

    user: HubUser
    refusal: str
    until_seconds: float


_NOBODY = HubUser("")


class Hub:
    """A JupyterHub, as the one that knows its users. ``api_url`` ends in ``/hub/api``.

    Tokens must be meant for us: have the scope to access the service of that name. Otherwise
    any other service could show us the tokens that its users showed to it.
    """

    def __init__(
        self, api_url: str, service: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._api = api_url.rstrip("/")
        self._scopes = {"access:services", f"access:services!service={service}"}
        self._clock = clock
        self._known: OrderedDict[bytes, _Answer] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[_Answer]] = {}
        self._client = SimpleAsyncHTTPClient(
            force_instance=True,
            max_clients=_MOST_QUESTIONS,
            max_body_size=_LARGEST_ANSWER_BYTES,
        )

    @property
    def remembered(self) -> int:
        """How many tokens are known."""
        return len(self._known)

    async def user_of(self, token: str) -> HubUser:
        """The user whose token it is.

        Raises Unauthenticated if it is nobody's or not for us, HubUnreachable if the Hub gives no
        answer.
        """
        if not (0 < len(token) <= LONGEST_TOKEN and token.isascii() and token.isprintable()):
            raise _refused("It is no token of a Hub.")
        key = _key(token)
        answer = self._known.get(key)
        if answer is None or answer.until_seconds <= self._clock():
            answer = await self._learn(key, token)
        if answer.refusal:
            raise _refused(answer.refusal)
        return answer.user

    def last_known(self, token: str) -> HubUser | None:
        """Whose the token was when the Hub last said so, however long ago; None: nobody's."""
        answer = self._known.get(_key(token))
        return answer.user if answer is not None and not answer.refusal else None

    async def user_named(self, name: str, token: str) -> HubUser:
        """A user and his groups, asked for with a token that may; in no group if the Hub does not
        know him. Raises HubUnreachable if the Hub gives no answer, or not to that token.
        """
        response = await self._get(f"users/{quote(name, safe='')}", token)
        if response.code == HTTPStatus.NOT_FOUND:
            await self._require_scope(token)
            return HubUser(name)
        with self._understanding(response.effective_url):
            response.rethrow()
            return HubUser(name, _groups(json.loads(response.body)))

    async def _require_scope(self, token: str) -> None:
        """Users that a token may not see look like users that are not there."""
        response = await self._get("user", token)
        with self._understanding(response.effective_url):
            response.rethrow()
            if _SEES_GROUPS not in json.loads(response.body).get("scopes", []):
                raise ValueError(f"the token of the broker lacks the scope {_SEES_GROUPS}")

    async def _learn(self, key: bytes, token: str) -> _Answer:
        """Ask the Hub, once however many want to know."""
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(token))
            asking.add_done_callback(lambda done: self._learned(key, done))
        return await asyncio.shield(asking)

    def _learned(self, key: bytes, done: asyncio.Task[_Answer]) -> None:
        del self._asking[key]
        if done.cancelled() or done.exception() is not None:
            return
        self._known[key] = done.result()
        self._known.move_to_end(key)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    async def _ask(self, token: str) -> _Answer:
        response = await self._get("user", token)
        if response.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return self._no("The Hub does not know it, or it has expired.")
        with self._understanding(response.effective_url):
            response.rethrow()
            return self._read(json.loads(response.body))

    async def _get(self, path: str, token: str) -> HTTPResponse:
        request = HTTPRequest(
            f"{self._api}/{path}",
            headers={"Authorization": f"token {token}", "Accept": "application/json"},
            connect_timeout=TIMEOUT_SECONDS,
            request_timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
        )
        with self._understanding(request.url):
            return await self._client.fetch(request, raise_error=False)

    @contextmanager
    def _understanding(self, url: str) -> Iterator[None]:
        """What goes wrong is the Hub's silence."""
        try:
            yield
        except (HTTPError, OSError, ValueError) as error:
            raise errors.HubUnreachable(
                "JupyterHub does not say who that is.",
                situation=f"{url}: {error}".replace("'", ""),
                next_step="Try again. The administrator of the node can see why: it is what "
                "MIGBroker.hub_api_url names.",
            ) from error

    def _read(self, model: Any) -> _Answer:
        if not isinstance(model, dict) or not isinstance(model.get("scopes"), list):
            raise ValueError("the answer is not what JupyterHub 3 or newer says about a token")  # noqa: TRY004 - as what cannot be read is
        name = model.get("name")
        if model.get("kind") != "user" or not isinstance(name, str) or not name:
            return self._no("It is a token of a service, not of a user.")
        if self._scopes.isdisjoint(model["scopes"]):
            return self._no(f"It lacks the scope {max(self._scopes)}.")
        user = HubUser(name, _groups(model))
        return _Answer(user, "", self._clock() + REMEMBER_SECONDS)

    def _no(self, refusal: str) -> _Answer:
        return _Answer(_NOBODY, refusal, self._clock() + REMEMBER_REFUSED_SECONDS)

    def close(self) -> None:
        """Ask nothing any more."""
        self._client.close()


def _groups(model: Any) -> frozenset[str]:
    groups = model.get("groups") if isinstance(model, dict) else None
    if not isinstance(groups, list):
        raise ValueError("it does not tell groups: is the scope read:users:groups missing?")  # noqa: TRY004 - as what cannot be read is
    return frozenset(each for each in groups if isinstance(each, str))


def _key(token: str) -> bytes:
    """What a token is remembered by."""
    return hashlib.sha256(token.encode()).digest()


def _refused(refusal: str) -> errors.Unauthenticated:
    return errors.Unauthenticated(
        "This token opens nothing here.",
        situation=refusal,
        next_step="Start your server again from JupyterHub. The administrator of the Hub can give "
        "the scope to servers: c.Spawner.server_token_scopes.",
    )
