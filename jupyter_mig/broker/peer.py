"""Who is at the other end of a connection: the kernel says, not the message (unix(7)).

It says who connected. That process may end while another goes on with its connection, and its pid
may pass on to a third, of somebody who may do more. A process that began after the connection was
there is not the one that made it.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from jupyter_mig.broker import processes
from jupyter_mig.broker.processes import TICKS_PER_SECOND, Process

_UCRED = struct.Struct("3i")


class Peer(NamedTuple):
    """The process that connected, and its user. A pid of 0 is one we cannot see from here.

    ``connected_at``: when it had, at the latest, on the clock of start times.
    """

    pid: int
    uid: int
    gid: int
    connected_at: float = 0.0

    def process(self) -> Process | None:
        """That very process; None if it cannot be seen, has ended, or is another user's by now."""
        found = processes.find(self.pid) if self.pid else None
        return found if found is not None and self.is_process(found) else None

    def is_process(self, found: Process) -> bool:
        """Whether a process of that pid may be the one that connected."""
        earlier = found.started_ticks / TICKS_PER_SECOND <= self.connected_at
        return earlier and found.uid == self.uid


def peer_of(connection: socket.socket) -> Peer:
    """The process at the other end of a Unix socket that connected just now."""
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(said)
    return Peer(pid, uid, gid, processes.boottime())
