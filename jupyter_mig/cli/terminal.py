"""What the place we print to can show."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from typing import TextIO

import msgspec

_USUAL = 80
"""Cells a drawing takes where nobody says how many there are (a file, a pipe)."""


class Ink(str, Enum):
    """Colours by what they say; the values are ANSI SGR numbers."""

    PLAIN = ""
    STRONG = "1"
    FAINT = "2"
    MINE = "36"
    FREE = "32"
    WARNING = "33"
    WRONG = "31"


class Terminal(msgspec.Struct, frozen=True):
    """``columns`` is None where lines may be of any length. Colours only ever add to signs."""

    columns: int | None = None
    colours: bool = False
    utf8: bool = False

    @property
    def breadth(self) -> int:
        """The cells that a drawing may take."""
        return self.columns or _USUAL

    @property
    def mark(self) -> str:
        """What stands for text that was cut off."""
        return "…" if self.utf8 else ".."

    def paint(self, text: str, ink: Ink) -> str:
        """The text in that colour, or as it is where there are no colours."""
        if not self.colours or not ink.value or not text:
            return text
        return f"\x1b[{ink.value}m{text}\x1b[0m"


def of(stream: TextIO, environ: Mapping[str, str] = os.environ) -> Terminal:
    """The terminal behind ``stream``. Honours ``COLUMNS``, ``NO_COLOR`` and ``TERM=dumb``."""
    interactive = stream.isatty()
    return Terminal(
        columns=_columns(stream, environ),
        colours=interactive and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb",
        utf8=(stream.encoding or "").lower().replace("-", "") == "utf8",
    )


def _columns(stream: TextIO, environ: Mapping[str, str]) -> int | None:
    wish = environ.get("COLUMNS", "")
    if wish.isdecimal() and int(wish):
        return int(wish)
    # A terminal that was never told its size (a fresh pseudo-terminal) reports 0.
    return os.get_terminal_size(stream.fileno()).columns or _USUAL if stream.isatty() else None
