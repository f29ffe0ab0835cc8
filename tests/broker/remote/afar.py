"""A service with a TCP door, in this process, and ways to come through it."""

from __future__ import annotations

import json
import os
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.netutil import bind_sockets

from jupyter_mig.broker.callers.crowd import Crowd
from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.callers.owners import NumberedUsers
from jupyter_mig.broker.door.door import Door
from jupyter_mig.broker.door.routes import OneUser
from jupyter_mig.broker.remote.audience import HubUsers
from jupyter_mig.broker.remote.hub import Hub
from jupyter_mig.broker.remote.listening import Listening, names
from jupyter_mig.broker.remote.members import Members
from jupyter_mig.broker.remote.strangers import Strangers
from jupyter_mig.broker.service import Service
from jupyter_mig.client import Client, Settings
from jupyter_mig.client.remote import Remote
from tests.broker.households import NODE, household
from tests.broker.remote.hubs import SmallHub, small_hub, user


class Afar:
    """The door's address, the Hub, and the service behind it."""

    def __init__(self, port: int, hub: SmallHub, service: Service, socket: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.hub = hub
        self.service = service
        self.socket = socket

    async def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """One request with exactly these headers; status and answer."""
        response = await AsyncHTTPClient().fetch(
            HTTPRequest(
                f"{self.url}{path}",
                method=method,
                headers={name.replace("_", "-"): value for name, value in headers.items()},
                body=None if body is None else json.dumps(body),
                allow_nonstandard_methods=True,
            ),
            raise_error=False,
        )
        return response.code, json.loads(response.body)

    async def ask_as(self, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request with a token."""
        return await self.ask(method, path, body, Authorization=f"Bearer {token}")

    def client(self, token: str, url: str = "") -> Client:
        """A client as a server in a container would have it."""
        return Client(
            Settings(driver=f"simulated:{NODE}", remote=Remote(url or self.url, token=token))
        )


@asynccontextmanager
async def afar(
    silence: float = 60.0,
    tls: ssl.SSLContext | None = None,
    strangers: Callable[[Crowd], Strangers] = Strangers,
    crowd: Crowd | None = None,
    *,
    longest_silence: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Afar]:
    """An open door; Alice's and Bob's tokens are ``alices`` and ``bobs``. By ``clock`` the Hub's
    answers age.
    """
    with tempfile.TemporaryDirectory(prefix="mig-", dir="/tmp") as place:
        directory = Path(place)
        with household(directory) as home:
            home.settings = msgspec.structs.replace(
                home.settings, silence=silence, longest_silence=longest_silence
            )
            async with small_hub() as hub, home.started() as service:
                hub.tokens.update(alices=user("alice"), bobs=user("bob"))
                asked = Hub(hub.url, "jupyter-mig", clock)
                users = NumberedUsers(directory / "numbers.json")
                called = names("127.0.0.1", ["broker.example"])
                crowd = crowd or Crowd()
                audience = HubUsers(asked, users, called, crowd, Members(users), strangers(crowd))
                port = _free_port()
                door = Door(service, home.driver, Keys(b"secret"), OneUser(os.getuid()))
                door.open(directory / "s")
                door.open_remotely(Listening("127.0.0.1", port, audience, tls))
                try:
                    yield Afar(port, hub, service, directory / "s")
                finally:
                    await door.close()
                    asked.close()


def _free_port() -> int:
    (free,) = bind_sockets(0, "127.0.0.1")
    with free:
        return int(free.getsockname()[1])
