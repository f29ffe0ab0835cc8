"""The ports of a kernel, held for it from the moment they are chosen.

Jupyter chooses free ports, lets go of them and writes them down; the kernel binds them half a
second later, ten seconds in a crowd. Whoever opens a connection meanwhile, other kernels' clients
above all, may be given one of them by the system: about one start in a hundred of a burst never
answers (jupyter_client#487). A socket that is bound, does not listen and has SO_REUSEADDR keeps
the system from giving its port to anybody; ZeroMQ, which sets SO_REUSEADDR too, may bind it.
"""

from __future__ import annotations

import socket
import weakref
from typing import Any

NAMES = ("shell_port", "iopub_port", "stdin_port", "hb_port", "control_port")


class HeldPorts:
    """Holds one kernel's ports, over restarts too; until let go, or garbage with its kernel."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        weakref.finalize(self, _close, self._sockets)

    def hold(self, kernel_manager: Any) -> None:
        """Choose the ports unless they are held already. Raises :class:`OSError`."""
        if kernel_manager is None or kernel_manager.transport != "tcp" or self._sockets:
            return
        kernel_manager.cache_ports = False  # LocalProvisioner would choose others
        for name in NAMES:
            self._sockets.append(_bound(kernel_manager.ip))
            setattr(kernel_manager, name, self._sockets[-1].getsockname()[1])

    def let_go(self, kernel_manager: Any) -> None:
        """Have ports chosen anew by the next start: nobody knows these yet."""
        if kernel_manager is None:
            return
        kernel_manager.cleanup_connection_file()
        if self._sockets:
            for name in NAMES:
                setattr(kernel_manager, name, 0)
        self.close()

    def close(self) -> None:
        """Let go of the ports; who asks for them later gets the same numbers from the manager."""
        _close(self._sockets)


def _bound(address: str) -> socket.socket:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((address, 0))
    return held


def _close(sockets: list[socket.socket]) -> None:
    while sockets:
        sockets.pop().close()
