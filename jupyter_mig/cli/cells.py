"""Text measured in terminal cells: a Chinese character takes two, an accent none."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import accumulate


def printable(text: str) -> str:
    """The text without what could move the cursor: names of notebooks come from anywhere."""
    return "".join(character if character.isprintable() else "?" for character in text)


def width(text: str) -> int:
    """The number of cells that printable text takes."""
    return sum(_width(character) for character in text)


def clip(text: str, cells: int, mark: str) -> str:
    """The text in at most ``cells``; what is cut off at the end is replaced by ``mark``."""
    if width(text) <= cells:
        return text
    room = cells - width(mark)
    return text[: _fitting(text, room)] + mark if room >= 0 else ""


def clip_front(text: str, cells: int, mark: str) -> str:
    """The same, cut off at the beginning: of a path, the end tells most."""
    if width(text) <= cells:
        return text
    room = cells - width(mark)
    return mark + text[len(text) - _fitting(reversed(text), room) :] if room >= 0 else ""


def pad_right(text: str, cells: int) -> str:
    """The text with blanks behind it."""
    return text + " " * (cells - width(text))


def pad_left(text: str, cells: int) -> str:
    """The text with blanks before it."""
    return " " * (cells - width(text)) + text


def _fitting(characters: Iterable[str], cells: int) -> int:
    """How many of the first characters take no more than ``cells``."""
    return sum(1 for total in accumulate(map(_width, characters)) if total <= cells)


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
