"""A node with a broker for all users: real processes of real Unix users, a simulated GPU whose
device nodes are character devices.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from jupyter_mig.nvml.driver import open_driver

ROOT = Path(__file__).parents[3]

SERVICE = "nobody"
"""A user without privileges that every system has."""

ALICE, BOB, CAROL = 64301, 64302, 64303
PATIENCE_SECONDS = 60.0
GPU = "1xA100-SXM4-40GB?time_scale=0"


def interpreter() -> str | None:
    """A Python of our version that other users may run, too; None if there is none.

    One in root's home is closed to them.
    """
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for each in (Path("/usr/bin", name), Path(sys.executable).resolve()):
        if each.exists() and _runs_for_others(each):
            return str(each)
    return None


def _runs_for_others(python: Path) -> bool:
    try:
        return not subprocess.run(
            [python, "-c", ""], check=False, user=ALICE, group=ALICE, extra_groups=[], cwd="/"
        ).returncode
    except PermissionError:
        return False


def lacking() -> str:
    """Why tests with other users cannot run here; empty if they can."""
    if os.getuid() != 0:
        return "only root can be other users"
    return "" if interpreter() else "no Python of this version that other users may run"


class SharedNode:
    """One node: its directories, its broker, and what its users do."""

    hardware = GPU

    def __init__(self, directory: Path, **settings: object) -> None:
        self.directory = directory
        self.tree = directory / "tree"
        self.driver = f"simulated:{self.hardware}&root={self.tree}&devices=on"
        self.configuration = directory / "broker.json"
        self.socket = directory / "run" / "broker.sock"
        self._broker: subprocess.Popen[bytes] | None = None
        own = {
            "driver": self.driver,
            "gpus": list(uuids(self.hardware)),
            "user": SERVICE,
            "socket": str(self.socket),
            "state_directory": str(directory / "state"),
            "helper_directory": str(directory / "helper"),
            **settings,
        }
        self.configuration.write_text(json.dumps({"MIGBroker": own}))

    def start(self) -> None:
        """Start the broker, and wait until it listens."""
        log = (self.directory / "broker.out").open("ab")
        self._broker = subprocess.Popen(
            [*self._cli("broker", "--config", str(self.configuration))],
            env=self.environ(),
            stdout=log,
            stderr=log,
        )
        log.close()
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not _listens(self.socket):
            assert self._broker.poll() is None, self.said()
            assert time.monotonic() < give_up_at, self.said()
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the broker's first process, root's, and see it gone; its exit status."""
        assert self._broker is not None
        self._broker.send_signal(number)
        status = self._broker.wait(PATIENCE_SECONDS)
        self._broker = None
        return status

    def kill(self) -> None:
        """Both processes, hard; the one that serves first, as it ends in good order when the other
        is gone.
        """
        for pid in reversed(self.processes()):
            os.kill(pid, signal.SIGKILL)
        self.stop(signal.SIGKILL)

    def close(self) -> None:
        """Let go of what is not the broker's."""

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return self._broker is not None and self._broker.poll() is None

    def said(self) -> str:
        """The broker's log."""
        return (self.directory / "broker.out").read_text()

    def processes(self) -> dict[int, int]:
        """Its processes and their users: root's helper, and the one that serves."""
        assert self._broker is not None
        pid = self._broker.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {each: Path(f"/proc/{each}").stat().st_uid for each in (pid, *map(int, children))}

    def spawn(self, uid: int, *arguments: str, **pipes: Any) -> subprocess.Popen[Any]:
        """``jupyter mig …`` as that user."""
        who: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []}
        return subprocess.Popen(self._cli(*arguments), env=self.environ(), cwd="/", **who, **pipes)

    def asked(self, uid: int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """``jupyter mig …`` as that user, finished."""
        process = self.spawn(uid, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        written, complained = process.communicate(timeout=PATIENCE_SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, written, complained)

    def _cli(self, *arguments: str) -> list[str]:
        python = interpreter()
        assert python is not None
        return [python, "-m", "jupyter_mig.cli", *arguments]

    def environ(self) -> dict[str, str]:
        """What a user's programs run with."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": "/",
            "LC_ALL": "C.UTF-8",
            "JUPYTER_MIG_SYSTEM": str(self.configuration),
            "PYTHONPATH": os.pathsep.join((str(ROOT), sysconfig.get_path("purelib"))),
        }


Node = TypeVar("Node", bound=SharedNode)


def _listens(path: Path) -> bool:
    """Whether somebody would hear a knock: a socket is there before that."""
    with socket.socket(socket.AF_UNIX) as knock:
        return knock.connect_ex(str(path)) == 0


def shared_node(**settings: object) -> AbstractContextManager[SharedNode]:
    """A node whose broker is not started yet; ended and removed afterwards."""
    return standing(SharedNode, **settings)


@contextmanager
def standing(kind: Callable[..., Node], **settings: object) -> Iterator[Node]:
    """A node of some kind, in a directory of its own."""
    directory = Path(tempfile.mkdtemp(prefix="mig-", dir="/tmp"))
    directory.chmod(0o755)
    pwd.getpwnam(SERVICE)
    node = kind(directory, **settings)
    try:
        yield node
    finally:
        if node.running:
            node.stop()
        node.close()
        shutil.rmtree(directory)


def uuids(hardware: str) -> tuple[str, ...]:
    """What NVML calls the GPUs of a simulated node."""
    driver = open_driver(f"simulated:{hardware}")
    try:
        return tuple(gpu.uuid for gpu in driver.gpus())
    finally:
        driver.close()
