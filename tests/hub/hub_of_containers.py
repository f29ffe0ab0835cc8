"""A real JupyterHub that starts its users' servers in real containers, on a node with a broker."""

from __future__ import annotations

import json
import re
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from tests.broker.asking import say
from tests.broker.system.shared_node import SharedNode, interpreter, standing
from tests.hub.dockerd import HOME, IMAGE, Dockerd, dockerd
from tests.hub.hubs import Hub, User, free_ports

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


class HubOfContainers(Hub):
    """One slice for each server. Containers are on the network of this machine."""

    def __init__(self, node: SharedNode, docker: Dockerd, api_port: int, broker_url: str) -> None:
        super().__init__(node, (), api_port, secrets.token_hex())
        self.docker = docker
        self.broker_url = broker_url
        environment = {
            "HOME": HOME,
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

    async def ask_broker(self, user: User) -> None:
        """Have a user ask for a slice beside his server's, by TCP, and say no more after that."""
        ask = {"kernel_id": secrets.token_hex(), "size": "1g.5gb", "wait_seconds": 10}
        headers = {"Authorization": f"Bearer {user.token}"}
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
        with self.docker.client() as client:
            pid = client.inspect_container(f"jupyter-{user.name}")["State"]["Pid"]
        lines = Path(f"/proc/{pid}/environ").read_text().split("\0")
        return dict(line.split("=", 1) for line in lines if line)

    def kill(self, user: User) -> None:
        """End a user's container hard."""
        with self.docker.client() as client:
            client.kill(f"jupyter-{user.name}")


@asynccontextmanager
async def hub_of_containers(**settings: object) -> AsyncIterator[HubOfContainers]:
    """A node with its broker and a Docker daemon, and a Hub that runs. Raises CannotStart where
    there can be no daemon.
    """
    api_port, port = free_ports(2)
    settings["listen"] = f"127.0.0.1:{port}"
    settings["hub_api_url"] = f"http://127.0.0.1:{api_port}/hub/api"
    settings["hub_users_are_unix_users"] = False
    with dockerd() as docker, standing(ImpatientNode, **settings) as node:
        node.start()
        one = HubOfContainers(node, docker, api_port, f"http://127.0.0.1:{port}")
        try:
            await one.start()
            yield one
        finally:
            one.stop()
