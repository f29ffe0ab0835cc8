"""Which owner a user of the Hub is. Owners are numbers: uids, or for those who have none here,
numbers that are no uid. Each name has one for good, so that nobody has two quotas.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
from pathlib import Path
from threading import Lock

from jupyter_mig import errors

LEAST = 2**31
"""No system gives uids from here on to people (and 2**32 - 1 is nobody at all)."""

_COUNT = 2**31 - 2
_ROOT = 0


class UnixUsers:
    """Users of the Hub are the users of the node that have the same name, after a prefix that the
    Hub does not know: ``jupyter-`` at The Littlest JupyterHub.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def owner(self, name: str) -> int:
        """The uid. May take a while where accounts are asked for over the network.

        Raises Unauthenticated if there is no such user, or it is root: nobody is root from afar.
        """
        try:
            uid = pwd.getpwnam(self._prefix + name).pw_uid
        except (KeyError, ValueError):
            uid = _ROOT
        if uid == _ROOT:
            raise errors.Unauthenticated(
                f"{self._prefix}{name} is no user of this node.",
                next_step="The administrator of the node can create the account, or set "
                "MIGBroker.hub_users_are_unix_users to false.",
            )
        return uid

    def hub_name(self, owner: int, account: str) -> str:
        """What the Hub calls the owner whose account here has that name; empty: nothing."""
        if owner == _ROOT or not account.startswith(self._prefix):
            return ""
        return account[len(self._prefix) :]


class NumberedUsers:
    """Users of the Hub have no accounts here: each gets a number, which is kept in ``file``.

    For any number of threads.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = Lock()
        self._numbers: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        self._names = {number: name for name, number in self._numbers.items()}

    def owner(self, name: str) -> int:
        """The number; a new one is on disk before it is used."""
        with self._lock:
            if name not in self._numbers:
                self._keep({**self._numbers, name: self._new(name)})
            return self._numbers[name]

    def hub_name(self, owner: int, account: str) -> str:  # noqa: ARG002 - a user of the node is none of the Hub
        """What the Hub calls that owner; empty: nothing."""
        return self._names.get(owner, "")

    def _new(self, name: str) -> int:
        """One derived from the name, or the next that is free: two names never share one."""
        taken = set(self._numbers.values())
        number = (
            int.from_bytes(hashlib.sha256(name.encode(errors="surrogatepass")).digest()[:8], "big")
            % _COUNT
        )
        while LEAST + number in taken:
            number = (number + 1) % _COUNT
        return LEAST + number

    def _keep(self, numbers: dict[str, int]) -> None:
        new = self._file.with_suffix(".new")
        with new.open("w", encoding="utf-8") as writing:
            json.dump(numbers, writing)
            writing.flush()
            os.fsync(writing.fileno())
        new.replace(self._file)
        self._numbers = numbers
        self._names = {number: name for name, number in numbers.items()}


Owners = UnixUsers | NumberedUsers
"""How names of the Hub become owners."""
