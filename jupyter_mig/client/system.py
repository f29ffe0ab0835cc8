"""A node's broker for all users, as its configuration tells clients of it."""

from __future__ import annotations

import json
import pwd
from pathlib import Path
from typing import Any

import msgspec

from jupyter_mig import errors
from jupyter_mig.wire import meeting

ROOT = 0


class SystemBroker(msgspec.Struct, frozen=True):
    """Where it listens, with which driver, and as whom: nobody else who listens there is it.

    Root may listen for it: with socket activation the listener is systemd. If it numbers users of
    a JupyterHub they have no accounts here; else their accounts' names begin with a prefix.
    """

    socket: Path
    driver: str
    uid: int
    numbers_hub_users: bool = False
    hub_user_prefix: str = ""

    def name_of(self, hub_user: str) -> str:
        """What administrators are told that a user of the Hub is called."""
        if not hub_user:
            return ""
        return f"{'hub:' if self.numbers_hub_users else self.hub_user_prefix}{hub_user}"

    @property
    def owners(self) -> frozenset[int]:
        """The users whose process may be at the other end."""
        return frozenset({self.uid, ROOT})


def find(file: Path) -> SystemBroker | None:
    """The broker that the node's configuration tells of; None if there is no such file.

    Raises MalformedSpec if it cannot be read: then there is a broker, and starting another one
    would be wrong.
    """
    try:
        section = json.loads(file.read_text(encoding="utf-8"))["MIGBroker"]
        return _broker(section)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise errors.MalformedSpec(
            "This node's broker cannot be found.",
            situation=f"{file}: {type(error).__name__}: {error}".replace("'", ""),
            next_step="The administrator of this node can correct the file.",
        ) from error


def _broker(section: dict[str, Any]) -> SystemBroker:
    return SystemBroker(
        socket=Path(section.get("socket", meeting.SYSTEM_SOCKET)),
        driver=str(section.get("driver", "nvml")),
        uid=pwd.getpwnam(section.get("user", meeting.SYSTEM_USER)).pw_uid,
        numbers_hub_users=not section.get("hub_users_are_unix_users", True),
        hub_user_prefix=str(section.get("hub_user_prefix", "")),
    )
