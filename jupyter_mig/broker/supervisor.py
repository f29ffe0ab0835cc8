"""Who started this broker and starts it again: it may keep descriptors from one broker to the next.

A node's broker has systemd (:mod:`.system.service_manager`); an agent has nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Supervisor(Protocol):
    """What a broker tells it. All of it returns at once."""

    def ready(self) -> None:
        """The door is open."""

    def stopping(self) -> None:
        """It is being closed."""

    def left(self) -> Mapping[str, int]:
        """The descriptors that the broker before had kept, by name. They are the caller's now, and
        stay kept until :meth:`forget`.
        """

    def keep(self, name: str, descriptor: int) -> None:
        """Keep a copy of a descriptor for the next broker."""

    def forget(self, name: str) -> None:
        """Keep it no longer."""


class Unsupervised:
    """Nobody."""

    def ready(self) -> None:
        """Nothing."""

    def stopping(self) -> None:
        """Nothing."""

    def left(self) -> Mapping[str, int]:
        """None."""
        return {}

    def keep(self, name: str, descriptor: int) -> None:
        """Nothing."""

    def forget(self, name: str) -> None:
        """Nothing."""
