"""The broker for all users of this node: its configuration, its user, its service, its door."""

from __future__ import annotations

import os
import pwd
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from jupyter_mig.broker.system import configuration
from jupyter_mig.broker.system.configuration import MIGBroker
from jupyter_mig.cli.doctor import broker
from jupyter_mig.cli.doctor.broker import BrokerFacts
from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.errors import JupyterMigError

_PAGE = "A broker for all users of a node"
_START = "sudo systemctl start jupyter-mig"
_LOG = "What it said: journalctl -u jupyter-mig, or where it was started."
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_ROOT = 0
_UNIT = Path("/etc/systemd/system/jupyter-mig.service")
_SYSTEMD = Path("/run/systemd/system")
_UCRED = struct.Struct("3i")
_PATIENCE_SECONDS = 3.0


class DoorFacts(msgspec.Struct, frozen=True):
    """The socket in the file system. ``peer`` are pid and uid of who listens; None: nobody does."""

    exists: bool
    directory_owner: int = _ROOT
    directory_mode: int = 0
    peer: tuple[int, int] | None = None


class NodeBrokerFacts(msgspec.Struct, frozen=True):
    """``writers`` are paths that others than root may write, of the configuration and above it.
    ``own`` is the configuration, or ``error`` says why it cannot be used. ``user_id`` is None if
    there is no such user, ``closed`` what of its ``program`` that user cannot read. ``unit`` is
    systemd's word for the service; empty where there is no systemd.
    """

    file: Path
    writers: tuple[Path, ...] = ()
    own: MIGBroker | None = None
    error: JupyterMigError | None = None
    user_id: int | None = None
    program: Path = Path(sys.executable)
    closed: tuple[Path, ...] = ()
    unit: str = ""
    door: DoorFacts | None = None


def look(file: Path) -> NodeBrokerFacts | None:
    """What there is of a node's broker; None if this node has none."""
    if not os.path.lexists(file):
        return None
    facts = NodeBrokerFacts(file, writers=_writers(file), unit=_unit())
    try:
        own = configuration.read(file)
    except JupyterMigError as error:
        return msgspec.structs.replace(facts, error=error)
    user, program = _user(own.user), _program(_UNIT)
    return msgspec.structs.replace(
        facts,
        own=own,
        user_id=user.pw_uid if user else None,
        program=program,
        closed=tuple(_closed_to(user, program)) if user else (),
        door=_door(Path(own.socket)),
    )


def check(facts: NodeBrokerFacts, there: BrokerFacts) -> Iterator[Finding]:
    """Is it configured safely, can it run, and is what listens really it?"""
    yield from _configuration(facts)
    if facts.own is None or facts.door is None:
        return
    yield from _user_findings(facts, facts.own)
    yield from _service(facts, answers=there.view is not None)
    yield from _at_the_door(facts, facts.own, facts.door, there)


def _configuration(facts: NodeBrokerFacts) -> Iterator[Finding]:
    about = "configuration"
    if facts.writers:
        paths = " ".join(map(str, facts.writers))
        yield problem(
            about,
            f"others than root can write what root's process obeys: {paths}",
            f"sudo chown root {paths}\nsudo chmod go-w {paths}",
            _PAGE,
        )
    elif facts.error is not None:
        seen = f"{facts.error.message} {facts.error.situation}"
        yield problem(about, seen, facts.error.next_step, _PAGE)
    elif facts.own is not None:
        on = "on" if facts.own.isolation else "off"
        yield ok(about, f"{facts.file}, root's alone, isolation {on}")


def _user_findings(facts: NodeBrokerFacts, own: MIGBroker) -> Iterator[Finding]:
    about = "broker's user"
    if facts.user_id is None:
        yield problem(
            about,
            f"there is no user {own.user}, as whom the broker is to run",
            f"sudo useradd --system --no-create-home --shell /usr/sbin/nologin {own.user}",
            _PAGE,
        )
    elif facts.closed:
        paths = ", ".join(map(str, facts.closed))
        yield problem(
            about,
            f"{own.user} cannot read the environment that the broker runs in: {paths}",
            "Install it where that user can read it, such as /opt/jupyter_mig.",
            _PAGE,
        )
    else:
        yield ok(about, f"{own.user}, and by mode it may run {facts.program}")


def _service(facts: NodeBrokerFacts, *, answers: bool) -> Iterator[Finding]:
    about = "service"
    if not facts.unit:
        yield ok(about, "no systemd here, so no unit was looked at")
    elif facts.unit == "active":
        yield ok(about, "systemd says that jupyter-mig is active")
    elif answers:
        yield note(
            about,
            f"the broker runs, but not as a service: systemd says {facts.unit}",
            "It does not come back after a boot: sudo systemctl enable jupyter-mig",
            _PAGE,
        )
    else:
        yield problem(about, f"systemd says {facts.unit}", f"{_START}\n{_LOG}", _PAGE)


def _at_the_door(
    facts: NodeBrokerFacts, own: MIGBroker, door: DoorFacts, there: BrokerFacts
) -> Iterator[Finding]:
    about = "socket"
    ours = {_ROOT, facts.user_id}
    directory = Path(own.socket).parent
    if door.exists and (door.directory_owner not in ours or door.directory_mode & _OTHERS_WRITE):
        yield problem(
            about,
            f"others than root and {own.user} can put a socket of theirs into {directory}"
            f" (user {door.directory_owner}, mode {door.directory_mode:04o})",
            f"sudo chown {own.user} {directory}\nsudo chmod 0755 {directory}",
            _PAGE,
        )
    if door.peer is not None and door.peer[1] not in ours:
        pid, uid = door.peer
        yield problem(
            about,
            f"user {uid} listens at {own.socket} in the broker's place; programs of ours refuse"
            " to talk to it",
            f"Ask that user what process {pid} is for. Then, as root: kill {pid}\n"
            f"rm {own.socket}\nsystemctl restart jupyter-mig",
            _PAGE,
        )
    elif door.peer is None:
        yield problem("broker", f"nobody listens at {own.socket}", f"{_START}\n{_LOG}", _PAGE)
    else:
        yield from broker.check(there)
        yield from _contrary(own, there)


def _contrary(own: MIGBroker, there: BrokerFacts) -> Iterator[Finding]:
    if there.view is not None and there.view.boundary != own.isolation:
        does = "isolates" if there.view.boundary else "does not isolate"
        yield problem(
            "configuration",
            f"the broker that runs {does} slices, other than the configuration says",
            "It was changed since, or the broker was not started as root:"
            " sudo systemctl restart jupyter-mig",
            _PAGE,
        )


def _writers(file: Path) -> tuple[Path, ...]:
    """Of a file and the directories above it; a sticky one keeps others' files as they are."""
    found = []
    with suppress(OSError):
        path = file.resolve()
        for each in (path, *path.parents):
            seen = each.stat()
            sticky = stat.S_ISDIR(seen.st_mode) and seen.st_mode & stat.S_ISVTX
            if seen.st_uid != _ROOT or (seen.st_mode & _OTHERS_WRITE and not sticky):
                found.append(each)
    return tuple(found)


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _program(unit: Path) -> Path:
    """What the service starts; without one, this Python."""
    with suppress(OSError):
        for line in unit.read_text(encoding="utf-8").splitlines():
            key, _, command = line.partition("=")
            if key.strip() == "ExecStart" and command.split():
                return Path(command.split()[0].lstrip("@-:+!"))
    return Path(sys.executable)


def _closed_to(user: pwd.struct_passwd, program: Path) -> Iterator[Path]:
    """What keeps a user from running a program, by owners and modes."""
    for path in dict.fromkeys((program, Path(os.path.realpath(program)))):
        for each in (*reversed(path.parents), path):
            try:
                seen = each.stat()
            except FileNotFoundError:
                yield each
                break
            except PermissionError:  # said of the directory that we cannot look into ourselves
                break
            shift = 6 if seen.st_uid == user.pw_uid else 3 if seen.st_gid == user.pw_gid else 0
            if not seen.st_mode >> shift & 0o001:
                yield each


def _unit(systemd: Path = _SYSTEMD) -> str:
    if not systemd.is_dir():
        return ""
    try:
        done = subprocess.run(
            ["systemctl", "is-active", "jupyter-mig.service"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _door(path: Path) -> DoorFacts:
    try:
        directory = path.parent.stat()
    except OSError:
        return DoorFacts(exists=False)
    return DoorFacts(
        exists=True,
        directory_owner=directory.st_uid,
        directory_mode=stat.S_IMODE(directory.st_mode),
        peer=_peer(path),
    )


def _peer(path: Path) -> tuple[int, int] | None:
    with socket.socket(socket.AF_UNIX) as knock:
        knock.settimeout(_PATIENCE_SECONDS)
        try:
            knock.connect(str(path))
        except OSError:
            return None
        peer = knock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(peer)
    return pid, uid
