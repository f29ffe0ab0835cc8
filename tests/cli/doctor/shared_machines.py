"""Nodes with a broker for all users, each wrong in one way, for ``doctor`` to find as a user or as
root. The device nodes are character devices and the users real ones.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from jupyter_mig.cli.doctor.finding import Finding, Level
from tests.broker.system.shared_node import (
    ALICE,
    BOB,
    CAROL,
    SharedNode,
    interpreter,
    shared_node,
)

ROOT = 0


class SharedMachine(msgspec.Struct, frozen=True):
    """A node that is wrong in one way, as user ``uid`` finds it; else as ``Machine``."""

    title: str
    about: str
    seen: str
    fix: str
    broken: Callable[[], AbstractContextManager[SharedNode]]
    uid: int = BOB
    level: Level = Level.PROBLEM


def findings(node: SharedNode, uid: int, **environ: str) -> list[Finding]:
    """What the doctor says to a user, in words that do not depend on this run's paths and pids."""
    python = interpreter()
    assert python is not None
    jupyters = Path(sysconfig.get_path("data"), "etc", "jupyter")
    done = subprocess.run(
        [python, "-m", "jupyter_mig.cli", "doctor", "--json"],
        env={**node.environ(), "JUPYTER_CONFIG_PATH": str(jupyters), **environ},
        cwd="/",
        user=uid,
        group=uid,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, done.stderr
    return msgspec.json.decode(_usual(node, done.stdout), type=list[Finding])


def _usual(node: SharedNode, text: str) -> str:
    """With the places where all this is on a real node."""
    for here, usual in (
        (node.configuration, "/etc/jupyter/jupyter_mig_broker.json"),
        (node.socket.parent, "/run/jupyter-mig"),
        (node.directory / "helper", "/var/lib/jupyter-mig-helper"),
        (node.tree, ""),
    ):
        text = text.replace(str(here), usual)
    return re.sub(r"\b(pid|kill|process) \d+", r"\1 4711", text)


@contextmanager
def held(node: SharedNode, uid: int = ALICE) -> Iterator[subprocess.Popen[bytes]]:
    """A user has a slice."""
    process = node.spawn(
        uid,
        *("run", "--size", "1g.5gb", "--", "sh", "-c", "echo here; exec cat"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n", node.said()
    try:
        yield process
    finally:
        process.communicate(timeout=60)


def slice_nodes(node: SharedNode) -> list[Path]:
    """The nodes of slices that somebody has."""
    found = (node.tree / "dev" / "nvidia-caps").glob("nvidia-cap*")
    return sorted(each for each in found if each.stat().st_uid in (ALICE, BOB))


@contextmanager
def occupied(**settings: object) -> Iterator[SharedNode]:
    """One on which all is well, and Alice has a slice."""
    with shared_node(**settings) as node:
        node.start()
        with held(node):
            yield node


def _without_isolation() -> AbstractContextManager[SharedNode]:
    return occupied(isolation=False)


@contextmanager
def _widened() -> Iterator[SharedNode]:
    with occupied() as node:
        slice_nodes(node)[0].chmod(0o444)
        yield node


@contextmanager
def _for_a_group() -> Iterator[SharedNode]:
    with occupied() as node:
        slice_nodes(node)[0].chmod(0o440)
        yield node


@contextmanager
def _modifiable() -> Iterator[SharedNode]:
    with occupied() as node:
        for file in (node.tree / "proc").rglob("gi*/access"):
            if "DeviceFileModify: 0" in file.read_text():
                file.write_text("DeviceFileMinor: 120\nDeviceFileModify: 1\n")
        yield node


@contextmanager
def _without_node() -> Iterator[SharedNode]:
    """And its capability file says that anybody may have one made."""
    with _modifiable() as node:
        slice_nodes(node)[0].unlink()
        yield node


@contextmanager
def _group_writable() -> Iterator[SharedNode]:
    with occupied() as node:
        node.configuration.chmod(0o664)
        yield node


@contextmanager
def _stopped() -> Iterator[SharedNode]:
    with shared_node() as node:
        node.start()
        node.stop()
        yield node


@contextmanager
def squatted() -> Iterator[SharedNode]:
    """Somebody else listens where the broker should."""
    program = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(flush=True)\n"
        "sys.stdin.read()"
    )
    with _stopped() as node:
        node.socket.parent.chmod(0o777)
        squatter = subprocess.Popen(
            [str(interpreter()), "-c", program, str(node.socket)],
            user=CAROL,
            group=CAROL,
            extra_groups=[],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert squatter.stdout is not None
        squatter.stdout.readline()
        node.socket.parent.chmod(0o755)
        node.socket.chmod(0o777)
        try:
            yield node
        finally:
            squatter.communicate(timeout=60)


@contextmanager
def _open_directory() -> Iterator[SharedNode]:
    with occupied() as node:
        node.socket.parent.chmod(0o777)
        yield node


@contextmanager
def _open_helper() -> Iterator[SharedNode]:
    with occupied() as node:
        (node.directory / "helper").chmod(0o777)
        yield node


@contextmanager
def _hung() -> Iterator[SharedNode]:
    with occupied() as node:
        (serving,) = (pid for pid, uid in node.processes().items() if uid != ROOT)
        os.kill(serving, signal.SIGSTOP)
        try:
            yield node
        finally:
            os.kill(serving, signal.SIGCONT)


SHARED_MACHINES = (
    SharedMachine(
        "Isolation is switched off",
        "isolation", "a convention: MIGBroker.isolation is off", "Take isolation out",
        _without_isolation, level=Level.NOTE,
    ),
    SharedMachine(
        "Somebody has opened a node to all",
        "isolation", "user 64302 could open /dev/nvidia-caps/nvidia-cap", "sudo chmod go=",
        _widened,
    ),
    SharedMachine(
        "A node can be opened again with nvidia-modprobe",
        "isolation", "DeviceFileModify is 1", "echo 'DeviceFileModify: 0'", _modifiable,
    ),
    SharedMachine(
        "Others than root can write the configuration",
        "configuration", "can write what root's process obeys", "sudo chmod go-w", _group_writable,
    ),
    SharedMachine(
        "Somebody else listens in the broker's place",
        "socket", "user 64303 listens", "Ask that user", squatted,
    ),
    SharedMachine(
        "Others can put a socket into the broker's directory",
        "socket", "can put a socket of theirs", "sudo chmod 0755 /run/jupyter-mig", _open_directory,
    ),
    SharedMachine(
        "The node's broker does not run",
        "broker", "nobody listens", "sudo systemctl start jupyter-mig", _stopped,
    ),
    SharedMachine(
        "The helper's directory is open to others, as root finds it",
        "helper", "is not root's alone", "sudo chmod 0700", _open_helper, uid=ROOT,
    ),
)  # fmt: skip
UNSHOWN = (
    SharedMachine("for a group", "isolation", "modes let others", "chmod go=", _for_a_group),
    SharedMachine("without a node", "isolation", "can be made for everybody", "tee", _without_node),
    SharedMachine("hung", "broker", "does not answer", "systemctl restart", _hung),
)
"""Found as well; the manual has similar ones."""
