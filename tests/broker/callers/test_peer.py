"""Who a peer is: on kernels that can say whether its process is there, and on those that cannot."""

from __future__ import annotations

import errno
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.callers.peer import peer_of
from jupyter_mig.broker.door import administrators
from jupyter_mig.broker.policy import Policy

_CONNECT = """
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
print(flush=True)
sys.stdin.read()
"""


class _OnOldKernel(socket.socket):
    """A connection on a kernel before 6.5: of what we ask for it knows SO_PEERCRED alone."""

    def getsockopt(self, level: int, name: int, size: int = 0) -> bytes | int:  # type: ignore[override]
        """As the kernel would answer."""
        if name != socket.SO_PEERCRED:
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        return super().getsockopt(level, name, size)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    """A door."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "door"))
        listening.listen()
        yield listening


def _connected(listening: socket.socket) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _CONNECT, listening.getsockname()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_the_peer_is_the_process_that_connected(listening: socket.socket) -> None:
    """As long as it is there."""
    with _connected(listening) as process, listening.accept()[0] as connection:
        found = peer_of(connection, waited=True).process()
        assert found is not None
        assert found.pid == process.pid
        assert process.stdin is not None
        process.stdin.close()


def test_who_ended_in_the_queue_is_no_process_ever_after(listening: socket.socket) -> None:
    """Whoever has its pid by then began later, or the kernel cannot say."""
    with _connected(listening) as process:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    with listening.accept()[0] as connection:
        peer = peer_of(connection, waited=True)
    assert peer.may_be_another or peer.connected_at == 0.0


async def test_an_old_kernel_makes_no_administrator_of_who_waited(
    listening: socket.socket,
) -> None:
    """He is one on a connection that was accepted when it was made."""
    policy = Policy(admins=(pwd.getpwuid(os.getuid()).pw_name,))
    with _connected(listening) as process, listening.accept()[0] as connection:
        with _OnOldKernel(fileno=os.dup(connection.fileno())) as old:
            waited, came = peer_of(old, waited=True), peer_of(old)
        await administrators.require(came, policy)
        with pytest.raises(errors.NotAllowed, match="who this connection is from"):
            await administrators.require(waited, policy)
        assert process.stdin is not None
        process.stdin.close()
