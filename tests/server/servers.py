"""Real Jupyter servers on a simulated node of their own, spoken to as front ends do."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from jupyter_mig.client import Client, Settings
from jupyter_mig.errors import BrokerError, DriverError
from jupyter_mig.nvml.driver import open_driver
from jupyter_mig.wire import meeting
from jupyter_mig.wire.messages import LeaseRequest, LeaseView

DRIVER = "simulated:1xA100-SXM4-40GB?time_scale=0"
TOKEN = "secret"
PATIENCE_SECONDS = 60.0

Thing = TypeVar("Thing")


class Reply(NamedTuple):
    """An HTTP status and what came with it."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        """What a front end shows of an error."""
        return str(self.body["message"])


_PYTHON = (sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")


def keep_old_spec(kernels: Path, size: str) -> None:
    """A kernelspec of that size which the server does not offer by itself: an older one's."""
    mark = {"profile": size, "base": "python3", "memory_bytes": 20 << 30}
    _write_spec(kernels / f"python3-mig-{size}", size, {"jupyter_mig": mark})


def _write_spec(
    directory: Path,
    size: str,
    metadata: dict[str, Any] | None = None,
    *,
    argv: Sequence[str] = _PYTHON,
    env: Mapping[str, str] | None = None,
) -> None:
    directory.mkdir(parents=True)
    stanza = {"provisioner_name": "mig-provisioner", "config": {"size": size}}
    document = {
        "argv": argv,
        "display_name": directory.name,
        "language": "python",
        "env": env or {},
        "metadata": {**(metadata or {}), "kernel_provisioner": stanza},
    }
    (directory / "kernel.json").write_text(json.dumps(document))


async def until(what: Callable[[], Awaitable[Thing | None]], why: str) -> Thing:
    """What ``what`` answers once it is true. Fails saying ``why`` it waited."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        found = await what()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited in vain: {why}")


class Home:
    """Directories and environment of one user on one simulated node."""

    def __init__(self, directory: Path, driver: str = DRIVER) -> None:
        self.directory = directory
        self.driver = driver
        self.runtime = directory / "run"
        self.notebooks = directory / "notebooks"
        for folder in (self.runtime, self.notebooks):
            folder.mkdir(mode=0o700)
        kept = {"PATH", "HOME", "LANG"}
        self.environ = {
            **{name: value for name, value in os.environ.items() if name in kept},
            "JUPYTER_MIG_DRIVER": driver,
            "XDG_RUNTIME_DIR": str(self.runtime),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "JUPYTER_CONFIG_DIR": str(directory / "config"),
            "JUPYTER_DATA_DIR": str(directory / "data"),
            "JUPYTER_RUNTIME_DIR": str(directory / "jupyter"),
            "IPYTHONDIR": str(directory / "ipython"),
            "JUPYTERLAB_WORKSPACES_DIR": str(directory / "workspaces"),
            "JUPYTERLAB_SETTINGS_DIR": str(directory / "settings"),
        }
        self.client = Client(Settings.from_environment(self.environ))
        self._kernels: list[subprocess.Popen[bytes]] = []

    @property
    def broker_dir(self) -> Path:
        """Where the broker lives."""
        return self.client.socket.parent

    async def leases(self) -> list[LeaseView]:
        """What the broker says."""
        return await self.client.leases()

    async def bound(self, count: int) -> None:
        """Wait until so many kernels run on slices."""

        async def all_are() -> bool:
            return [lease.state for lease in await self.leases()] == ["bound"] * count

        await until(all_are, f"for {count} kernels on slices")

    async def hold(self, *wishes: LeaseRequest) -> list[str]:
        """Slices that other notebooks hold, whose kernels are processes that sleep; the leases."""
        held = []
        for wish in wishes:
            lease = await self.client.acquire(wish)
            kernel = subprocess.Popen(["sleep", "3600"])  # noqa: ASYNC220 - it returns at once
            self._kernels.append(kernel)
            await self.client.bind(lease.lease_id, kernel.pid)
            held.append(lease.lease_id)
        return held

    def end_kernels(self) -> None:
        """End what holds slices for other notebooks, as far as the broker has not."""
        for kernel in self._kernels:
            kernel.kill()
            kernel.wait()

    def instances(self) -> int:
        """What the silicon says: GPU instances that exist."""
        driver = open_driver(self.driver, self.broker_dir / meeting.SILICON)
        try:
            return sum(len(driver.instances(gpu.uuid)) for gpu in driver.gpus())
        finally:
            driver.close()

    async def empty(self) -> None:
        """Wait until no lease is left and no instance."""

        async def nothing() -> bool:
            try:
                return not await self.leases() and self.instances() == 0
            except DriverError:
                return False  # the broker destroyed an instance while we looked at it

        await until(nothing, "for zero leases and zero instances")

    async def broker_pid(self) -> int:
        """The broker's process."""
        return (await self.client.broker()).pid

    def kernelspec(self, name: str, size: str, *argv: str, **env: str) -> None:
        """Install a kernelspec of our own for that size."""
        _write_spec(self.directory / "data" / "kernels" / name, size, argv=argv or _PYTHON, env=env)

    async def removed(self) -> bool:
        """Remove all files; False if a kernel that is ending made one meanwhile."""
        shutil.rmtree(self.directory, ignore_errors=True)
        return not self.directory.exists()

    async def stop_broker(self) -> None:
        """End the broker's process."""
        settings = Settings(driver=self.driver, socket=self.client.socket)
        with suppress(BrokerError, ProcessLookupError):  # it may have left by itself
            os.kill((await Client(settings).broker()).pid, signal.SIGTERM)


@asynccontextmanager
async def home(driver: str = DRIVER) -> AsyncIterator[Home]:
    """A short path (Unix sockets), gone afterwards, the broker too."""
    user = Home(Path(tempfile.mkdtemp(prefix="mig-")), driver)
    try:
        yield user
    finally:
        await user.stop_broker()
        user.end_kernels()
        await until(user.removed, "for nobody to write into the home any more")


class Server:
    """A Jupyter server's process."""

    def __init__(
        self, user: Home, process: subprocess.Popen[bytes], port: int, base: str = ""
    ) -> None:
        self.user = user
        self.process = process
        self.url = f"http://127.0.0.1:{port}{base}"

    # ---- REST

    async def ask(
        self, method: str, path: str, body: Any = None, *, timeout: float = 60, token: str = TOKEN
    ) -> Reply:
        """One request, as a front end would send it."""
        response = await AsyncHTTPClient().fetch(
            f"{self.url}/{path}",
            method=method,
            headers={"Authorization": f"token {token}"},
            body=None if body is None else json.dumps(body),
            allow_nonstandard_methods=True,
            raise_error=False,
            request_timeout=timeout,
        )
        return Reply(response.code, json.loads(response.body) if response.body else None)

    async def start_session(self, kernel: str, path: str = "") -> Reply:
        """What JupyterLab does when a notebook is opened."""
        path = path or f"{uuid.uuid4().hex[:8]}.ipynb"
        body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel}}
        return await self.ask("POST", "api/sessions", body)

    async def start(self, kernel: str) -> str:
        """Start a kernel; its id. It may be pending."""
        reply = await self.ask("POST", "api/kernels", {"name": kernel})
        assert reply.status == 201, reply
        return str(reply.body["id"])

    async def kernel(self, kernel_id: str) -> dict[str, Any] | None:
        """The kernel's model, None if it is not listed."""
        kernels = (await self.ask("GET", "api/kernels")).body
        return next((kernel for kernel in kernels if kernel["id"] == kernel_id), None)

    async def lease(self, kernel_id: str) -> LeaseView | None:
        """The kernel's lease as the broker tells it."""
        leases = await self.user.leases()
        return next((lease for lease in leases if lease.kernel_id == kernel_id), None)

    async def lease_in(self, kernel_id: str, *states: str) -> LeaseView:
        """The kernel's lease once it is in one of these states."""

        async def found() -> LeaseView | None:
            lease = await self.lease(kernel_id)
            return lease if lease is not None and lease.state in states else None

        return await until(found, f"for the lease of {kernel_id} to be {' or '.join(states)}")

    async def gone(self, kernel_id: str) -> None:
        """Wait until the kernel is not listed."""

        async def missing() -> bool:
            return await self.kernel(kernel_id) is None

        await until(missing, f"for kernel {kernel_id} to be gone from api/kernels")

    async def dead(self, kernel_id: str) -> str:
        """Wait until the kernel's start has failed; the reason."""

        async def reason() -> str | None:
            model = await self.kernel(kernel_id)
            dead = model is not None and model["execution_state"] == "dead"
            return str(model["reason"]) if model is not None and dead else None

        return await until(reason, f"for kernel {kernel_id} to be dead")

    # ---- websocket

    async def connect(self, kernel_id: str) -> WebSocketClientConnection:
        """A front end's websocket, once the kernel is ready."""
        address = f"{self.url.replace('http', 'ws')}/api/kernels/{kernel_id}/channels"
        request = HTTPRequest(
            f"{address}?session_id={uuid.uuid4().hex}",
            headers={"Authorization": f"token {TOKEN}"},
            request_timeout=PATIENCE_SECONDS,
        )
        return await websocket_connect(request)

    async def knock(self, kernel_id: str) -> asyncio.StreamWriter:
        """A websocket that is still waiting for the kernel; close it as a tab would."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"GET /api/kernels/{kernel_id}/channels?session_id=tab&token={TOKEN} HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        )
        writer.write("\r\n".join((*head, "", "")).encode())
        await writer.drain()
        return writer

    async def run(self, kernel_id: str, code: str) -> str:
        """Execute code as a front end would; what it printed."""
        socket = await self.connect(kernel_id)
        try:
            return await asyncio.wait_for(execute(socket, code), PATIENCE_SECONDS)
        finally:
            socket.close()

    async def environment(self, kernel_id: str) -> dict[str, str]:
        """The kernel's environment, as the kernel sees it."""
        printed = await self.run(kernel_id, "import json, os; print(json.dumps(dict(os.environ)))")
        found: dict[str, str] = json.loads(printed)
        return found

    async def pid(self, kernel_id: str) -> int:
        """The kernel's process."""
        return int(await self.run(kernel_id, "import os; print(os.getpid())"))

    # ---- the process

    def log(self) -> str:
        """What it has logged so far."""
        return (self.user.directory / "server.log").read_text()

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Send one signal; the exit status. Raises if the process outlives it by far."""
        self.process.send_signal(signum)
        return self.process.wait(PATIENCE_SECONDS)


async def execute(socket: WebSocketClientConnection, code: str) -> str:
    """Execute code over a kernel's websocket; what it printed."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "test"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}}
    message = {"header": {**header, "username": "", "version": "5.3"}, "content": content}
    await socket.write_message(
        json.dumps({**message, "parent_header": {}, "metadata": {}, "channel": "shell"})
    )
    printed = ""
    while True:
        received = await socket.read_message()
        assert received is not None, "the kernel's websocket was closed"
        answer = json.loads(received)
        if answer["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        if answer["msg_type"] == "stream":
            printed += answer["content"]["text"]
        elif answer["msg_type"] == "error":
            raise AssertionError("\n".join(answer["content"]["traceback"]))
        elif answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
            return printed


@asynccontextmanager
async def serving(
    user: Home,
    *options: str,
    app: str = "jupyter_server",
    python: str = sys.executable,
    ready: str = "jupyter_mig: ",
    base: str = "",
    port: int = 0,
) -> AsyncIterator[Server]:
    """A server for ``user``, its log cleared, that answers below ``base`` (at ``port``, or any)
    and has said that it is ``ready``: by default with its sizes in the picker.
    """
    options = (f"--ServerApp.base_url={base}/", *options)
    with _process(user, python, app, base, port or _free_port(), *options) as server:
        await until(lambda: _answers(server, ready), f"for the server to answer\n{server.log()}")
        yield server


async def _answers(server: Server, ready: str) -> bool:
    assert server.process.poll() is None, server.log()
    try:
        specs = await server.ask("GET", "api/kernelspecs")
    except OSError:
        return False
    # Behind a gateway that is not there the status is another.
    return ready in server.log() and specs.status > 0


@contextmanager
def _process(
    user: Home, python: str, app: str, base: str, port: int, *options: str
) -> Iterator[Server]:
    command = [python, "-m", app, "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={user.notebooks}"]
    with (user.directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options], env=user.environ, stdout=log, stderr=log, cwd=user.notebooks
        )
    try:
        yield Server(user, process, port, base)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
