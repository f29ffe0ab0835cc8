"""A node whose broker is started by a service manager: this one listens at the door, is notified,
and keeps descriptors, as systemd does (sd_listen_fds(3), sd_notify(3)).
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Thread

from tests.broker.system.shared_node import PATIENCE_SECONDS, SharedNode, standing

_EXECUTE = """
import os, sys
numbers, *command = sys.argv[1:]
for place, number in enumerate(filter(None, numbers.split(",")), 3):
    os.dup2(int(number), place)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(command[0], command)
"""
_ABOVE_ALL = 200
"""Descriptors from here on are not in the way of those that are put at their places."""


class ManagedNode(SharedNode):
    """One node and its manager."""

    def __init__(self, directory: Path, **settings: object) -> None:
        super().__init__(directory, **settings)
        self.said_to_manager: list[str] = []
        self.kept: dict[str, int] = {}
        self.socket.parent.mkdir(mode=0o755)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.socket))
        self.socket.chmod(0o666)
        listening.listen(4096)
        self.doors = {"door": listening}
        address = directory / "notify"
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(str(address))
        address.chmod(0o777)
        self._environ = {"NOTIFY_SOCKET": str(address)}
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def start(self) -> None:
        """Start the broker, and wait until it says that it is ready."""
        before = self.said_to_manager.count("READY=1")
        self.launch()
        self.wait_until(lambda: self.said_to_manager.count("READY=1") > before)

    def launch(self) -> None:
        """Start the broker with the door and all that is kept."""
        doors = {name: each.fileno() for name, each in self.doors.items()}
        passed = {**doors, **self.kept}
        numbers = [fcntl.fcntl(each, fcntl.F_DUPFD, _ABOVE_ALL) for each in passed.values()]
        environ = {
            **self.environ(),
            **self._environ,
            "LISTEN_FDS": str(len(numbers)),
            "LISTEN_FDNAMES": ":".join(passed),
        }
        command = self._cli("broker", "--config", str(self.configuration))
        with (self.directory / "broker.out").open("ab") as log:
            self._broker = subprocess.Popen(
                [command[0], "-c", _EXECUTE, ",".join(map(str, numbers)), *command],
                env=environ,
                pass_fds=numbers,
                stdout=log,
                stderr=log,
            )
        for number in numbers:
            os.close(number)

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Until something is true of what the broker has said; it must live until then."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not true():
            assert self.running, self.said()
            assert time.monotonic() < give_up_at, (self.said(), self.said_to_manager)
            time.sleep(0.01)

    def close(self) -> None:
        """Listen no longer, and drop what is kept."""
        self._ear.shutdown(socket.SHUT_RD)
        self._listener.join()
        self._ear.close()
        for door in self.doors.values():
            door.close()
        while self.kept:
            os.close(self.kept.popitem()[1])

    def _listen(self) -> None:
        while True:
            message, numbers, _, _ = socket.recv_fds(self._ear, 4096, 8)
            if not message:
                return
            self._heard(message.decode(), numbers)

    def _heard(self, message: str, numbers: list[int]) -> None:
        values = dict(line.split("=", 1) for line in message.splitlines())
        name = values.get("FDNAME", "")
        if "FDSTOREREMOVE" in values and name in self.kept:
            os.close(self.kept.pop(name))
        elif "FDSTORE" in values:
            (self.kept[name],) = numbers
        self.said_to_manager.append(message)


def managed_node(**settings: object) -> AbstractContextManager[ManagedNode]:
    """A node whose broker is not started yet; ended and removed afterwards."""
    return standing(ManagedNode, **settings)
