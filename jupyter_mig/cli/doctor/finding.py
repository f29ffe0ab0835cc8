"""What one check found."""

from __future__ import annotations

from enum import Enum

import msgspec


class Level(str, Enum):
    """``note``: nothing is broken, but somebody may want to know. ``problem``: something is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """What was looked at (``about``), what was seen, how to fix it, and where that is explained
    (the title of a page of the manual).
    """

    about: str
    level: Level
    seen: str
    fix: str = ""
    page: str = ""


def ok(about: str, seen: str) -> Finding:
    """As it should be."""
    return Finding(about, Level.OK, seen)


def note(about: str, seen: str, fix: str = "", page: str = "") -> Finding:
    """Worth knowing."""
    return Finding(about, Level.NOTE, seen, fix, page)


def problem(about: str, seen: str, fix: str, page: str = "") -> Finding:
    """Broken."""
    return Finding(about, Level.PROBLEM, seen, fix, page)
