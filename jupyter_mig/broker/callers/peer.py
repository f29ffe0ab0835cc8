"""Who is at the other end of a connection: the kernel says, not the message (unix(7)).

It says who connected. That process may end while another goes on with its connection, and its pid
may pass on to a third, of somebody who may do more. A process that began after the connection was
accepted is not the one that made it; and one that had ended by then is found by nobody. Since Linux
6.5 the kernel says whether it had (SO_PEERPIDFD).
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from typing import NamedTuple

from jupyter_mig.broker import processes
from jupyter_mig.broker.processes import TICKS_PER_SECOND, Process

_UCRED = struct.Struct("3i")

_SO_PEERPIDFD = 77
"""Not named by Python; the same on x86, Arm and POWER (asm-generic/socket.h)."""

_NOBODY_YET = 0.0
"""Before all processes."""


class Peer(NamedTuple):
    """The process that connected, and its user. A pid of 0 is one we cannot see from here.

    ``connected_at``: when it had, at the latest, on the clock of start times. ``may_be_another``:
    whether its pid may have come back before that, as the connection had waited for a broker and
    this kernel cannot say.
    """

    pid: int
    uid: int
    gid: int
    connected_at: float = _NOBODY_YET
    may_be_another: bool = False

    def process(self) -> Process | None:
        """That very process; None if it cannot be seen, has ended, or is another user's by now."""
        found = processes.find(self.pid) if self.pid else None
        return found if found is not None and self.is_process(found) else None

    def is_process(self, found: Process) -> bool:
        """Whether a process of that pid may be the one that connected."""
        earlier = found.started_ticks / TICKS_PER_SECOND <= self.connected_at
        return earlier and found.uid == self.uid


def peer_of(connection: socket.socket, *, waited: bool = False) -> Peer:
    """The process at the other end of a Unix socket that was accepted just now. ``waited``: whether
    the connection may have been there before anybody accepted connections.
    """
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(said)
    now = processes.boottime()
    lives = _lives(connection)
    if lives is None:
        return Peer(pid, uid, gid, now, may_be_another=waited)
    return Peer(pid, uid, gid, now if lives else _NOBODY_YET)


def _lives(connection: socket.socket) -> bool | None:
    """Whether the very process that connected is there; None if this kernel cannot say."""
    try:
        pidfd = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        return None if error.errno == errno.ENOPROTOOPT else False
    try:
        return not readable(pidfd)
    finally:
        os.close(pidfd)


def readable(descriptor: int) -> bool:
    """Whether a descriptor has something to say now: a pidfd, that its process has ended; a
    listening socket, that somebody waits.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
