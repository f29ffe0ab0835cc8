"""A real JupyterHub with real Unix users, on a node with a broker for all of them."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.simple_httpclient import HTTPStreamClosedError
from tornado.websocket import websocket_connect

from tests.broker.system.shared_node import SERVICE, SharedNode, interpreter, shared_node
from tests.server.servers import Reply, execute, keep_old_spec, until

ADMIN = "boss"
"""An administrator of the Hub, who is no user of the node."""

MEANT_FOR_THE_BROKER = "access:services!service=jupyter-mig"

ROOT = Path(__file__).parents[2]
PROXY = Path(__file__).parent / "proxy"
PATIENCE_SECONDS = 90.0


class Hub:
    """JupyterHub, spoken to by its API with a service's token. ``environment`` is given to its
    users' servers, beside what tells them of the node.
    """

    def __init__(
        self,
        node: SharedNode,
        users: tuple[str, ...],
        api_port: int,
        brokers_token: str,
        **environment: str,
    ) -> None:
        self.node = node
        self.users = users
        self.token = secrets.token_hex()
        self.brokers_token = brokers_token
        self.directory = node.directory / "hub"
        self.directory.mkdir(mode=0o755)
        self.port, proxy_port, page_port = free_ports(3)
        self.page = "services/jupyter-mig/"
        page = {
            "name": "jupyter-mig",
            "url": f"http://127.0.0.1:{page_port}",
            "command": [sys.executable, "-m", "jupyter_mig.hub"],
            "environment": {
                "JUPYTER_MIG_SYSTEM": str(node.configuration),
                "PYTHONPATH": str(ROOT),
            },
            "oauth_no_confirm": True,
        }
        self.url = f"http://127.0.0.1:{self.port}"
        self.api_url = f"http://127.0.0.1:{api_port}/hub/api"
        self._process: subprocess.Popen[bytes] | None = None
        # The server extension, as installing the package would switch it on for everybody.
        config = self.directory / "jupyter" / "jupyter_server_config.d"
        config.mkdir(parents=True)
        shipped = ROOT / "jupyter_mig" / "etc" / "jupyter_mig.json"
        (config / "jupyter_mig.json").write_text(shipped.read_text())
        environ = {
            **node.environ(),
            "JUPYTER_CONFIG_PATH": str(config.parent),
            **_jupyterlab(self.directory, config),
            **environment,
        }
        python = interpreter()
        (self.directory / "jupyterhub_config.py").write_text(
            f"""
c.JupyterHub.bind_url = {self.url!r}
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = {_proxy_command()!r}
c.JupyterHub.cleanup_servers = False
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {{{ADMIN!r}}}
c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.default_url = "/lab"
c.Spawner.args = ["--LabApp.expose_app_in_browser=True"]
c.Spawner.environment = {environ!r}
c.Spawner.http_timeout = c.Spawner.start_timeout = {PATIENCE_SECONDS}
c.LocalProcessSpawner.shell_cmd = ["bash", "-c"]
c.Spawner.server_token_scopes = [
    "users:activity!user",
    "access:servers!server",
    {MEANT_FOR_THE_BROKER!r},
]
c.JupyterHub.services = [
    {{"name": "tests", "api_token": {self.token!r}}},
    {{"name": "broker", "api_token": {brokers_token!r}}},
    {page!r},
]
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", {MEANT_FOR_THE_BROKER!r}]}},
    {{
        "name": "tests",
        "services": ["tests"],
        "scopes": [
            *("admin:users", "admin:groups", "admin:servers"),
            *("access:servers", "tokens", "read:hub"),
        ],
    }},
    {{
        "name": "broker",
        "services": ["broker"],
        "scopes": ["read:users:name", "read:users:groups"],
    }},
]
"""
        )

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.directory / "hub.out").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
                [sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py"],
                cwd=self.directory,
                env={**os.environ, "CONFIGPROXY_AUTH_TOKEN": "proxy" + self.token},
                stdout=log,
                stderr=log,
            )
        await until(self._answers, "for the Hub to answer")

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.said()
        try:
            return (await self.ask("GET", "hub/api/")).status == 200
        except (OSError, HTTPStreamClosedError):  # the proxy of a Hub before it is ending
            return False

    def said(self) -> str:
        """Its log, and that of the users' servers."""
        return (self.directory / "hub.out").read_text()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; the users' servers go on."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    async def ask(self, method: str, path: str, body: Any = None, *, token: str = "") -> Reply:
        """One request, below the Hub's address; as the tests' service, or with that token."""
        response = await AsyncHTTPClient().fetch(
            f"{self.url}/{path}",
            method=method,
            headers={"Authorization": f"token {token or self.token}"},
            body=None if body is None else json.dumps(body),
            allow_nonstandard_methods=True,
            raise_error=False,
            request_timeout=PATIENCE_SECONDS,
        )
        try:
            return Reply(response.code, json.loads(response.body) if response.body else None)
        except ValueError:
            return Reply(response.code, None)

    async def put_in_group(self, group: str, *names: str) -> None:
        """Make a group of the Hub, of these users."""
        for name in names:
            await self.ask("POST", f"hub/api/users/{name}")
        await self.ask("POST", f"hub/api/groups/{group}")
        reply = await self.ask("POST", f"hub/api/groups/{group}/users", {"users": names})
        assert reply.status == 200, reply

    async def login(self, name: str) -> User:
        """A user whose server runs."""
        await self.ask("POST", f"hub/api/users/{name}")
        await self.ask("POST", f"hub/api/users/{name}/server")

        async def ready() -> bool:
            servers = (await self.ask("GET", f"hub/api/users/{name}")).body["servers"]
            return bool(servers.get("", {}).get("ready"))

        await until(ready, f"for the server of {name}\n")
        token = (await self.ask("POST", f"hub/api/users/{name}/tokens", {})).body["token"]
        return User(self, name, token)


class User:
    """Somebody with a server of his own behind the Hub."""

    def __init__(self, hub: Hub, name: str, token: str) -> None:
        self.hub = hub
        self.name = name
        self.token = token

    @property
    def uid(self) -> int:
        """Of the user of the node who has his name."""
        return pwd.getpwnam(self.name).pw_uid

    async def ask(self, method: str, path: str, body: Any = None, *, of: str = "") -> Reply:
        """One request to his server, or to somebody else's, with his token."""
        return await self.hub.ask(method, f"user/{of or self.name}/{path}", body, token=self.token)

    async def start(self, kernel: str, notebook: str) -> str:
        """Open a notebook; its kernel's id."""
        await until(lambda: self.offers(kernel), f"for {kernel} in the picker of {self.name}")
        body = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": kernel}}
        reply = await self.ask("POST", "api/sessions", body)
        assert reply.status == 201, reply
        return str(reply.body["kernel"]["id"])

    async def offers(self, kernel: str) -> bool:
        """Whether it is in his picker."""
        return kernel in (await self.ask("GET", "api/kernelspecs")).body["kernelspecs"]

    def keep_old_spec(self, size: str) -> None:
        """Have a kernelspec of his own of a size that his server does not offer."""
        keep_old_spec(Path(pwd.getpwuid(self.uid).pw_dir) / ".local/share/jupyter/kernels", size)

    async def run(self, kernel_id: str, code: str) -> str:
        """Execute code in a kernel of his; what it printed."""
        address = f"{self.hub.url.replace('http', 'ws')}/user/{self.name}/api/kernels/{kernel_id}"
        request = HTTPRequest(
            f"{address}/channels?session_id={uuid.uuid4().hex}",
            headers={"Authorization": f"token {self.token}"},
            request_timeout=PATIENCE_SECONDS,
        )
        connection = await websocket_connect(request)
        try:
            return await asyncio.wait_for(execute(connection, code), PATIENCE_SECONDS)
        finally:
            connection.close()

    async def leases(self) -> list[dict[str, Any]]:
        """What his server tells of his leases."""
        found: list[dict[str, Any]] = (await self.ask("GET", "jupyter-mig/api/leases")).body
        return found


@asynccontextmanager
async def hub(count: int, **settings: object) -> AsyncIterator[Hub]:
    """A node with its broker, so many new Unix users, and a Hub for them. The broker has a token to
    ask it about groups.
    """
    (api_port,) = free_ports(1)
    settings["hub_api_url"] = f"http://127.0.0.1:{api_port}/hub/api"
    with _token_file() as file:
        settings["hub_token_file"] = str(file)
        with shared_node(**settings) as node, _unix_users(count) as names:
            node.start()
            async with _running(Hub(node, names, api_port, file.read_text())) as one:
                yield one


@asynccontextmanager
async def hub_by_tcp(count: int, **settings: object) -> AsyncIterator[Hub]:
    """The same, but that users' servers reach the broker by TCP, as from containers."""
    api_port, port = free_ports(2)
    settings["listen"] = f"127.0.0.1:{port}"
    settings["hub_api_url"] = f"http://127.0.0.1:{api_port}/hub/api"
    url = f"http://127.0.0.1:{port}"
    with shared_node(**settings) as node, _unix_users(count) as names:
        node.start()
        token = secrets.token_hex()
        async with _running(Hub(node, names, api_port, token, JUPYTER_MIG_URL=url)) as one:
            yield one


@asynccontextmanager
async def _running(one: Hub) -> AsyncIterator[Hub]:
    try:
        await one.start()
        yield one
        for name in one.users:
            await one.ask("DELETE", f"hub/api/users/{name}/server")
    finally:
        one.stop()


@contextmanager
def _token_file() -> Iterator[Path]:
    """A new token, for the broker's user and nobody else."""
    directory = Path(tempfile.mkdtemp(prefix="mig-", dir="/tmp"))
    directory.chmod(0o755)
    file = directory / "token"
    file.touch(mode=0o400)
    file.write_text(secrets.token_hex())
    os.chown(file, pwd.getpwnam(SERVICE).pw_uid, -1)
    try:
        yield file
    finally:
        shutil.rmtree(directory)


@contextmanager
def _unix_users(count: int) -> Iterator[tuple[str, ...]]:
    names = tuple(f"mig{secrets.token_hex(3)}" for _ in range(count))
    for name in names:
        subprocess.run(["useradd", "--create-home", name], check=True)
    try:
        yield names
    finally:
        for name in names:
            subprocess.run(["pkill", "-KILL", "-u", name], check=False)
            subprocess.run(["userdel", "--force", "--remove", name], check=False)


def _jupyterlab(directory: Path, config: Path) -> dict[str, str]:
    """JupyterLab with our extension as built from this tree, switched on for everybody."""
    switch = {"ServerApp": {"jpserver_extensions": {"jupyterlab": True}}}
    (config / "jupyterlab.json").write_text(json.dumps(switch))
    extensions = directory / "share" / "labextensions"
    extensions.mkdir(parents=True)
    (extensions / "jupyter-mig").symlink_to(ROOT / "jupyter_mig" / "labextension")
    return {
        "JUPYTER_PATH": str(extensions.parent),
        "JUPYTERLAB_DIR": str(Path(sysconfig.get_path("data"), "share", "jupyter", "lab")),
    }


def _proxy_command() -> list[str]:
    """Configurable HTTP proxy, installed beside these tests the first time."""
    sys.path.insert(0, str(ROOT / "labextension"))
    try:
        import node
    finally:
        sys.path.pop(0)
    found = node.find()
    assert found is not None, "the tests with JupyterHub need Node.js: run make node"
    script = PROXY / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    if not script.exists():
        command = [*found.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=PROXY, check=True, capture_output=True)
    return [found.node, str(script)]


def free_ports(count: int) -> list[int]:
    """So many ports of loopback that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
