"""The seam at which a test can stop the broker: before and after each log write and driver call."""

from __future__ import annotations

from typing import Protocol


class Seam(Protocol):
    """Is told of every point that is reached, on the thread that reached it."""

    def reached(self, point: str) -> None:
        """The broker is at ``point``: ``before log write``, ``after CreateInstance``…"""


class Uninterrupted:
    """The seam of production: nothing happens."""

    def reached(self, point: str) -> None:
        """Go on."""
