"""The few calls of the Docker Engine API that DockerSpawner makes, without containers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

_VERSION = {"ApiVersion": "1.47", "MinAPIVersion": "1.24", "Version": "27"}


class Daemon:
    """Its containers by name, as they were asked for; removed ones are in ``removed``. Nothing runs
    in them.
    """

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.removed: list[dict[str, Any]] = []
        self.refuses_to_create = False
        self.url = ""

    @property
    def only(self) -> dict[str, Any]:
        """The container, where there is one."""
        (found,) = self.containers.values()
        return found

    def begin(self, name: str) -> None:
        """One is started."""

    def lives(self, name: str) -> bool:
        """Whether there is one of that name."""
        return name in self.containers

    def end(self) -> None:
        """All programs in containers end; a daemon removes these containers."""
        self.removed += self.containers.values()
        self.containers.clear()


class _Call(RequestHandler):
    def initialize(self, daemon: Daemon) -> None:
        self.daemon = daemon

    def say(self, answer: Any, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(answer))


class _Version(_Call):
    def get(self) -> None:
        """Which API it speaks."""
        self.say(_VERSION)


class _Image(_Call):
    def get(self) -> None:
        """Every image is there."""
        self.say({"Config": {"Cmd": ["jupyterhub-singleuser"]}})


class _Create(_Call):
    def post(self) -> None:
        """Keep what was asked for."""
        if self.daemon.refuses_to_create:
            self.say({"message": "no space left on device"}, 500)
            return
        name = self.get_query_argument("name")
        self.daemon.containers[name] = {"Id": name, **json.loads(self.request.body)}
        self.say({"Id": name, "Warnings": []}, 201)


class _Container(_Call):
    def get(self, name: str) -> None:
        """What ``docker inspect`` shows."""
        if not self.daemon.lives(name):
            self.say({"message": "No such container"}, 404)
            return
        found = self.daemon.containers[name]
        port = {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": "40000"}]}
        self.say(
            {
                "Id": name,
                "State": {"Running": True},
                "Config": {"Env": found["Env"]},
                "NetworkSettings": {"Ports": port},
            }
        )

    def delete(self, name: str) -> None:
        """Remove it, or say that it is gone."""
        self.say({"message": "No such container"}, 404)


class _Start(_Call):
    def post(self, name: str) -> None:
        """It runs as soon as it is there."""
        self.daemon.begin(name)
        self.set_status(204)


class _Stop(_Call):
    def post(self, name: str) -> None:
        """It is removed with that, as it was asked for."""
        assert self.daemon.containers[name]["HostConfig"]["AutoRemove"]
        self.daemon.end()
        self.set_status(204)


@asynccontextmanager
async def daemon() -> AsyncIterator[Daemon]:
    """One on loopback."""
    one = Daemon()
    async with listening(one):
        yield one


@asynccontextmanager
async def listening(one: Daemon) -> AsyncIterator[None]:
    """Let one be asked on loopback."""
    given = {"daemon": one}
    version = r"/v[0-9.]+"
    application = Application(
        [
            (r"(?:/v[0-9.]+)?/version", _Version, given),
            (rf"{version}/images/.+/json", _Image, given),
            (rf"{version}/containers/create", _Create, given),
            (rf"{version}/containers/([^/]+)/json", _Container, given),
            (rf"{version}/containers/([^/]+)/start", _Start, given),
            (rf"{version}/containers/([^/]+)/stop", _Stop, given),
            (rf"{version}/containers/([^/]+)", _Container, given),
        ],
        log_function=lambda _: None,
    )
    server = HTTPServer(application)
    (bound,) = bind_sockets(0, "127.0.0.1")
    server.add_socket(bound)
    one.url = f"tcp://127.0.0.1:{bound.getsockname()[1]}"
    try:
        yield
    finally:
        server.stop()
        await server.close_all_connections()
