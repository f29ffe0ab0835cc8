"""A real JupyterHub that starts its users' servers in real containers, on a node with a broker."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, TypeAlias

from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from tests.broker.asking import say
from tests.broker.system.shared_node import SharedNode, interpreter, standing
from tests.hub.daemon import Daemon, listening
from tests.hub.dockerd import IMAGE, Dockerd
from tests.hub.hubs import PATIENCE_SECONDS, Hub, User, free_ports

SILENCE_SECONDS = 2.0

_IMPATIENT = f"""
import sys
import msgspec
from jupyter_mig.broker.system.configuration import MIGBroker
from jupyter_mig.cli.main import main
settings = MIGBroker.settings
MIGBroker.settings = property(
    lambda self: msgspec.structs.replace(settings.fget(self), silence={SILENCE_SECONDS})
)
sys.exit(main())
"""


class ImpatientNode(SharedNode):
    """Its broker allows two seconds of silence where others allow a minute."""

    def _cli(self, *arguments: str) -> list[str]:
        python = interpreter()
        assert python is not None
        return [python, "-c", _IMPATIENT, *arguments]


class Processes(Daemon):
    """What stands in for a daemon where none can run: its containers are processes."""

    files: ClassVar[dict[str, dict[str, str]]] = {}

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.home = str(directory)
        self.devices: list[str] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def begin(self, name: str) -> None:
        """Start the command of one, with what NVIDIA's hook would tell it."""
        wanted = self.containers[name]
        environ = dict(line.split("=", 1) for line in wanted["Env"])
        for request in wanted["HostConfig"]["DeviceRequests"]:
            environ["NVIDIA_VISIBLE_DEVICES"] = ",".join(request["DeviceIDs"])
            self.devices += request["DeviceIDs"]
        with Path(self.home, f"{name}.out").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                wanted["Cmd"], env=environ, cwd=self.home, stdout=log, stderr=log
            )

    def lives(self, name: str) -> bool:
        """Whether it has not ended, for then it is removed."""
        if name in self._processes and self._processes[name].poll() is not None:
            self.removed.append(self.containers.pop(name))
            self._processes.pop(name)
        return super().lives(name)

    def pid(self, name: str) -> int:
        """That of its process."""
        return self._processes[name].pid

    def kill(self, name: str) -> None:
        """End one hard."""
        self._processes[name].kill()

    def end(self) -> None:
        """End all."""
        for process in self._processes.values():
            process.terminate()
            process.wait(PATIENCE_SECONDS)
        self._processes.clear()
        super().end()


Docker: TypeAlias = Dockerd | Processes


@asynccontextmanager
async def processes() -> AsyncIterator[Processes]:
    """The stand-in, which can be asked."""
    with tempfile.TemporaryDirectory(prefix="mig-", dir="/tmp") as directory:
        one = Processes(Path(directory))
        async with listening(one):
            try:
                yield one
            finally:
                one.end()


class HubOfContainers(Hub):
    """One slice for each server. Containers are on the network of this machine."""

    def __init__(self, node: SharedNode, docker: Docker, api_port: int, broker_url: str) -> None:
        super().__init__(node, (), api_port, secrets.token_hex())
        self.docker = docker
        self.broker_url = broker_url
        environment = {
            "HOME": docker.home,
            "JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp",
        }
        with (self.directory / "jupyterhub_config.py").open("a") as config:
            config.write(
                f"""
import os
import socket

from jupyter_mig.hub.docker import SliceDockerSpawner

os.environ["JUPYTER_MIG_DRIVER"] = {node.driver!r}


class OnThisNetwork(SliceDockerSpawner):
    async def get_ip_and_port(self):
        return "127.0.0.1", self.port


def free_port(spawner):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        spawner.port = free.getsockname()[1]


c.JupyterHub.allow_named_servers = True
c.JupyterHub.spawner_class = OnThisNetwork
c.Spawner.pre_spawn_hook = free_port
c.Spawner.poll_interval = 1
c.Spawner.cmd = [{sys.executable!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root"]
c.Spawner.environment = {environment!r}
c.SliceDockerSpawner.image = {IMAGE!r}
c.SliceDockerSpawner.network_name = "host"
c.SliceDockerSpawner.use_internal_ip = True
c.SliceDockerSpawner.volumes = {docker.files!r}
c.SliceDockerSpawner.client_kwargs = {{"base_url": {docker.url!r}}}
c.SliceDockerSpawner.broker_url = {broker_url!r}
c.SliceDockerSpawner.slice_size = "1g.5gb"
c.SliceDockerSpawner.slice_wait_seconds = 0
"""
            )

    def held(self) -> dict[str, tuple[str, str]]:
        """The lease and the slice of each user's server, as the broker's administrator sees it."""
        status, leases = say(self.node.socket, "GET", "/v1/admin/leases")
        assert status == 200, leases
        return {
            lease["user"]: (lease["lease_id"], lease["mig_uuid"])
            for lease in leases
            if lease["state"] == "bound"
        }

    async def ask_broker(self, name: str) -> None:
        """Have a user without a server ask for a slice by TCP, and say no more after that."""
        await self.ask("POST", f"hub/api/users/{name}")
        token = (await self.ask("POST", f"hub/api/users/{name}/tokens", {})).body["token"]
        ask = {"kernel_id": secrets.token_hex(), "size": "1g.5gb", "wait_seconds": 10}
        headers = {"Authorization": f"Bearer {token}"}
        request = HTTPRequest(
            f"{self.broker_url}/v1/leases", method="POST", headers=headers, body=json.dumps(ask)
        )
        assert json.loads((await AsyncHTTPClient().fetch(request)).body)["state"] == "granted"

    def count(self) -> int:
        """How many leases there are, whatever their state."""
        return len(say(self.node.socket, "GET", "/v1/admin/leases")[1])

    def shown(self, path: str, user: User) -> str:
        """A page as a user sees it who has just signed in. The Hub shows none to a token."""
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(f"{self.url}/hub/login") as form:
            found = re.search('name="_xsrf" value="([^"]*)"', form.read().decode())
        assert found is not None
        filled = {"username": user.name, "password": "any", "_xsrf": found[1]}
        address = f"{self.url}/hub/login?next=/{path}"
        try:
            page = browser.open(address, urllib.parse.urlencode(filled).encode())
        except urllib.error.HTTPError as refused:
            page = refused
        with page:
            return str(page.read().decode())

    def environ(self, user: User) -> dict[str, str]:
        """That of the first process of a user's container, as the kernel has it."""
        pid = self.docker.pid(f"jupyter-{user.name}")
        lines = Path(f"/proc/{pid}/environ").read_text().split("\0")
        return dict(line.split("=", 1) for line in lines if line)

    def kill(self, user: User) -> None:
        """End a user's container hard."""
        self.docker.kill(f"jupyter-{user.name}")


@asynccontextmanager
async def hub_of_containers(docker: Docker, **settings: object) -> AsyncIterator[HubOfContainers]:
    """A node with its broker, and a Hub that runs, whose containers are that daemon's."""
    api_port, port = free_ports(2)
    settings["listen"] = f"127.0.0.1:{port}"
    settings["hub_api_url"] = f"http://127.0.0.1:{api_port}/hub/api"
    settings["hub_users_are_unix_users"] = False
    with standing(ImpatientNode, **settings) as node:
        node.start()
        one = HubOfContainers(node, docker, api_port, f"http://127.0.0.1:{port}")
        try:
            await one.start()
            yield one
        finally:
            await asyncio.to_thread(one.stop)  # it may be asking the daemon, which is here
