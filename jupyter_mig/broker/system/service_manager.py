"""systemd as the broker meets it: descriptors that come with the process (sd_listen_fds(3)), and
datagrams to a socket (sd_notify(3)), some with a descriptor to be kept. Any other service manager
that speaks like this will do.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from jupyter_mig import errors
from jupyter_mig.broker.remote import listening

log = logging.getLogger(__name__)

FIRST_DESCRIPTOR = 3
PATIENCE_SECONDS = 5.0
"""How long a manager that does not read is waited for, by a thread of its own."""

KEPT = re.compile(r"p\d+-\d+")
"""What names of kept descriptors look like. Short, as all go into one variable of 128 KiB."""


class Descriptor(NamedTuple):
    """One that came with the process."""

    name: str
    number: int


class Doors(NamedTuple):
    """The sockets that listen for the broker already."""

    local: socket.socket | None = None
    remote: socket.socket | None = None


class ServiceManager:
    """The manager that listens at ``address``, NOTIFY_SOCKET; empty if it wants to hear nothing.
    ``descriptors`` are those that came with the process. They are handed on to no other program.
    """

    def __init__(self, address: str = "", descriptors: Sequence[Descriptor] = ()) -> None:
        # An abstract socket's name begins with a zero byte, which no variable can hold.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._descriptors = descriptors
        for each in descriptors:
            os.set_inheritable(each.number, False)  # noqa: FBT003 - the standard library's
        # A manager that is busy must not hold up the broker's loop.
        self._teller = ThreadPoolExecutor(1, "manager")

    @classmethod
    def of(cls, environ: MutableMapping[str, str], pid: int) -> ServiceManager:
        """The one that the environment tells of. Its variables are taken away: they are meant for
        the process ``pid`` and no other.
        """
        meant_for = environ.pop("LISTEN_PID", "")
        count = environ.pop("LISTEN_FDS", "")
        names = environ.pop("LISTEN_FDNAMES", "").split(":")
        mine = int(count) if meant_for == str(pid) and count.isdigit() else 0
        numbers = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + mine)
        named = zip([*names, *[""] * mine], numbers, strict=False)
        return cls(environ.pop("NOTIFY_SOCKET", ""), [Descriptor(*each) for each in named])

    def decline(self) -> None:
        """The descriptors are another process's, which has them, too."""
        for each in self._descriptors:
            os.close(each.number)
        self._descriptors = ()

    def listens_at(self, path: Path) -> bool:
        """Whether one of the sockets that came listens there."""
        return any(_listens_at(each, path) for each in self._copies())

    def _copies(self) -> Iterator[socket.socket]:
        for one in self._descriptors:
            if not _kept(one):
                with socket.socket(fileno=os.dup(one.number)) as copy:
                    yield copy

    def doors(self, path: Path, address: str = "") -> Doors:
        """The sockets that listen at ``path``, and on TCP at ``address`` (``127.0.0.1:8123``, or
        empty), if any came. What they are called says nothing; where they listen the kernel says.
        Raises BadPlace for another one: users would knock where nobody opens.
        """
        given = [socket.socket(fileno=one.number) for one in self._descriptors if not _kept(one)]
        local = [each for each in given if _listens_at(each, path)]
        remote = [each for each in given if address and _listens_on(each, address)]
        elsewhere = [each.getsockname() for each in given if each not in (*local, *remote)]
        if not elsewhere:
            return Doors(next(iter(local), None), next(iter(remote), None))
        for each in given:
            each.close()
        raise errors.BadPlace(
            "The broker was given a socket that is not its door.",
            situation=f"It is {_shown(elsewhere[0])}; MIGBroker.socket is {path},"
            f" MIGBroker.listen is {address or 'empty'}.",
            next_step="Make each ListenStream of jupyter-mig.socket one of the two.",
        )

    def ready(self) -> None:
        """Jobs that wait for the broker's start may go on."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """It ends on purpose."""
        self._tell("STOPPING=1")

    def left(self) -> Mapping[str, int]:
        """What was kept for us."""
        return {one.name: one.number for one in self._descriptors if _kept(one)}

    def keep(self, name: str, descriptor: int) -> None:
        """Keep it, also once what it is of is gone: that is what the next broker must learn."""
        self._tell(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", descriptor)

    def forget(self, name: str) -> None:
        """Keep it no longer."""
        self._tell(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def close(self) -> None:
        """Say what has not been said yet."""
        self._teller.shutdown()

    def _tell(self, message: str, descriptor: int | None = None) -> None:
        if self._address:
            # A copy: the original may be closed before it is sent.
            copies = [] if descriptor is None else [os.dup(descriptor)]
            self._teller.submit(self._send, message, copies)

    def _send(self, message: str, copies: list[int]) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.settimeout(PATIENCE_SECONDS)
                line.connect(self._address)
                socket.send_fds(line, [message.encode()], copies)
        except OSError as error:
            log.warning("The service manager was not told %r: %s", message, error)
        finally:
            for copy in copies:
                os.close(copy)


def _kept(descriptor: Descriptor) -> bool:
    return KEPT.fullmatch(descriptor.name) is not None


def _listens_at(each: socket.socket, path: Path) -> bool:
    return _listens(each, socket.AF_UNIX) and each.getsockname() == str(path)


def _listens_on(each: socket.socket, address: str) -> bool:
    if not _listens(each, socket.AF_INET, socket.AF_INET6):
        return False
    host, port = each.getsockname()[:2]
    wanted_host, wanted_port = listening.parse(address)
    return port == wanted_port and ip_address(host) == ip_address(wanted_host)


def _listens(each: socket.socket, *families: socket.AddressFamily) -> bool:
    accepts = each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return each.family in families and each.type == socket.SOCK_STREAM and bool(accepts)


def _shown(name: object) -> str:
    """Where a socket is, as ListenStream would say it."""
    if not isinstance(name, tuple):
        return str(name)
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"
