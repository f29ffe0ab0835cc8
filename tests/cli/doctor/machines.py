"""Machines on which something is broken, for ``doctor`` to find, and for the manual to show.

Each is a simulated node with real processes, sockets and files around it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import socketserver
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread

import msgspec

from jupyter_mig.cli.doctor.finding import Finding, Level
from jupyter_mig.client import Client, Settings
from jupyter_mig.client.place import directory_for, prepare
from jupyter_mig.nvml import simulated as simulation
from jupyter_mig.nvml.simulated import Returned
from jupyter_mig.wire import meeting
from jupyter_mig.wire.messages import LeaseRequest
from tests.cli.nodes import CommandLine, simulated

NODE = "simulated:1xA100-SXM4-40GB?time_scale=0"


class Machine(msgspec.Struct, frozen=True):
    """A machine that is broken in one way, in ``title``'s words; ``about`` is what the finding is
    about, ``seen`` and ``fix`` are words that must be in it.
    """

    title: str
    about: str
    seen: str
    fix: str
    broken: Callable[[], AbstractContextManager[CommandLine]]
    level: Level = Level.PROBLEM


def findings(mig: CommandLine, *arguments: str, code: int) -> list[Finding]:
    """What the doctor says, in words that do not depend on this run's paths and pids."""
    text = mig("doctor", "--json", *arguments, code=code).stdout
    place = mig.environ["XDG_RUNTIME_DIR"]
    text = text.replace(place, "/run/user/1000")
    text = re.sub(r"jupyter-mig/[0-9a-f]{16}", "jupyter-mig/0123456789abcdef", text)
    text = re.sub(r"\b(pid|kill|process) \d+", r"\1 4711", text)
    return msgspec.json.decode(text, type=list[Finding])


def place_of(mig: CommandLine) -> Path:
    """The directory of the broker that the environment means, made as a client makes it."""
    directory = directory_for(Settings.from_environment(mig.environ))
    prepare(directory)
    return directory


@contextmanager
def _silicon(mig: CommandLine) -> Iterator[simulation.Node]:
    """The hardware that the machine has from now on, seen from behind."""
    state = place_of(mig) / meeting.SILICON
    with simulation.installed(NODE.removeprefix("simulated:"), state=state) as node:
        yield node


@contextmanager
def _hardware(happens: Callable[[simulation.Node], object]) -> Iterator[CommandLine]:
    with simulated(NODE) as mig:
        with _silicon(mig) as node:
            happens(node)
        yield mig


def healthy() -> AbstractContextManager[CommandLine]:
    """A node on which nothing is wrong."""
    return simulated(NODE)


def _no_driver() -> AbstractContextManager[CommandLine]:
    return _hardware(lambda node: node.remove_driver())


def _upgraded() -> AbstractContextManager[CommandLine]:
    return _hardware(lambda node: node.upgrade_driver())


def _lost() -> AbstractContextManager[CommandLine]:
    return _hardware(lambda node: node.lose(0))


def _mig_off() -> AbstractContextManager[CommandLine]:
    return simulated(f"{NODE}&mig=off")


def _mig_pending() -> AbstractContextManager[CommandLine]:
    def switch_off(node: simulation.Node) -> None:
        node.create(0, "1g.5gb")
        with suppress(Returned):  # In Use: it waits for a reset
            node.set_mig_mode(0, on=False)

    return _hardware(switch_off)


def _no_permission() -> AbstractContextManager[CommandLine]:
    return simulated(f"{NODE}&privileged=off")


def holding(mig: CommandLine) -> str:
    """Have a slice held by this process; its MIG UUID."""

    async def hold() -> str:
        client = Client(Settings.from_environment(mig.environ))
        request = LeaseRequest(kernel_id="k", size="1g.5gb", label="a.ipynb", patience_seconds=60)
        lease = await client.acquire(request)
        assert lease.slice is not None
        return lease.slice.mig_uuid

    return asyncio.run(hold())


@contextmanager
def _mute() -> Iterator[CommandLine]:
    with simulated(NODE) as mig:
        door = place_of(mig) / meeting.SOCKET
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(door))
            listening.listen()
            yield mig
        door.unlink()


@contextmanager
def _other_driver() -> Iterator[CommandLine]:
    with simulated(NODE) as mig:
        door = json.loads(mig("status", "--json").stdout)["socket"]
        yield CommandLine(
            {
                **mig.environ,
                "JUPYTER_MIG_SOCKET": door,
                "JUPYTER_MIG_DRIVER": "simulated:1xA30?time_scale=0",
            }
        )


class _NewerBroker(BaseHTTPRequestHandler):
    """Answers as a broker of a version to come."""

    def do_GET(self) -> None:
        view = {"driver": NODE, "simulated": True, "pid": os.getpid(), "uid": os.getuid()}
        answer = {**view, "protocol": 3, "version": "9.0.0", "new": []}
        if self.path != "/v1":
            answer = {**view, "gpus": [], "sizes": [], "waiting": 0}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Nothing to standard error."""


@contextmanager
def _skewed() -> Iterator[CommandLine]:
    with simulated(NODE) as mig:
        door = place_of(mig) / meeting.SOCKET
        with socketserver.ThreadingUnixStreamServer(str(door), _NewerBroker) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            yield mig
            server.shutdown()
        door.unlink()


@contextmanager
def _stuck() -> Iterator[CommandLine]:
    """A monitor has an instance open when its kernel ends."""
    with simulated(NODE) as mig:
        uuid = holding(mig)
        with simulation.attached(place_of(mig) / meeting.SILICON) as node, node.hold(uuid):
            mig("release", uuid)
            while "will not clear" not in mig("status").stdout:
                pass  # each look takes a process and half a second
            yield mig


@contextmanager
def _stale_spec() -> Iterator[CommandLine]:
    with simulated(NODE) as mig:
        mig("kernels", "install", "--sizes", "1g.5gb,2g.10gb")
        mig.environ["JUPYTER_MIG_DRIVER"] = "simulated:1xA30?time_scale=0"
        mig("status")
        yield mig


def _configured(name: str, text: str) -> Callable[[], AbstractContextManager[CommandLine]]:
    @contextmanager
    def machine() -> Iterator[CommandLine]:
        with simulated(NODE) as mig:
            config = Path(mig.environ["JUPYTER_CONFIG_DIR"])
            config.mkdir()
            # In a virtual environment, its settings go before the user's otherwise.
            mig.environ["JUPYTER_PREFER_ENV_PATH"] = "0"
            (config / name).write_text(text, encoding="utf-8")
            yield mig

    return machine


@contextmanager
def _open_place() -> Iterator[CommandLine]:
    with simulated(NODE) as mig:
        place_of(mig).parent.chmod(0o777)
        yield mig


@contextmanager
def _corrupt_log() -> Iterator[CommandLine]:
    with simulated(NODE) as mig:
        (place_of(mig) / meeting.EVENTS).write_bytes(b"SQLite format 3\0" + b"rubbish" * 4000)
        yield mig


@contextmanager
def _contradiction() -> Iterator[CommandLine]:
    with simulated(NODE) as mig:
        variables = {"JUPYTER_MIG_UUID": "MIG-1", "CUDA_VISIBLE_DEVICES": "0"}
        yield CommandLine({**mig.environ, **variables})


_OFF = '{"ServerApp": {"jpserver_extensions": {"jupyter_mig": false}}}'
_PENDING = "c.AsyncMultiKernelManager.use_pending_kernels = False\n"

MACHINES = (
    Machine("No driver is loaded", "driver", "Driver Not Loaded", "nvidia-smi", _no_driver),
    Machine(
        "The driver was upgraded, and the old one still runs",
        "driver", "mismatch", "reboot", _upgraded,
    ),
    Machine("A GPU fell off the bus", "GPU 0", "GPU is lost", "--gpu-reset", _lost),
    Machine("MIG mode is off", "GPU 0", "MIG mode is off", "nvidia-smi -i 0 -mig 1", _mig_off),
    Machine(
        "MIG mode was switched, and waits for a reset",
        "GPU 0", "waits for a reset", "--gpu-reset", _mig_pending,
    ),
    Machine(
        "You may not make slices",
        "making slices", "may not make instances on GPU 0", "mig/config", _no_permission,
    ),
    Machine("The broker hangs", "broker", "does not answer", "End that process", _mute),
    Machine(
        "The socket named is another broker's",
        "broker", "asks for simulated:1xA30", "JUPYTER_MIG_DRIVER", _other_driver,
    ),
    Machine(
        "The broker that runs is of another version",
        "broker", "protocol 3", "kill 4711", _skewed,
    ),
    Machine("A slice will not clear", "slice 1g.5gb", "will not clear", "DCGM", _stuck),
    Machine(
        "Kernelspecs were written for other GPUs",
        "kernelspecs", "lacks: python3-mig-1g.5gb", "jupyter mig kernels install", _stale_spec,
    ),
    Machine(
        "The server extension is switched off",
        "server extension", "switched off", "extension enable jupyter_mig",
        _configured("jupyter_server_config.json", _OFF),
    ),
    Machine(
        "Pending kernels are switched off",
        "pending kernels", "are lost", "Take that line out",
        _configured("jupyter_server_config.py", _PENDING), Level.NOTE,
    ),
    Machine(
        "The broker's directory is open to others",
        "broker's place", "open to others", "mode 0700", _open_place,
    ),
    Machine("The event log is damaged", "event log", "does not read back", "remove", _corrupt_log),
    Machine(
        "Variables contradict each other",
        "variables", "CUDA_VISIBLE_DEVICES is 0", "export CUDA_VISIBLE_DEVICES", _contradiction,
    ),
)  # fmt: skip
