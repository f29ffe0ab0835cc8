"""A GPU drawn to scale, its memory slices from left to right, in one line.

::

    |# train 2g.10gb #|=1g.5gb=|........ free .........|!1g.5gb!|

Signs say whose a slice is, so that nothing depends on colour or UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from pathlib import PurePosixPath

import msgspec

from jupyter_mig.cli.cells import clip, printable, width
from jupyter_mig.cli.terminal import Ink, Terminal
from jupyter_mig.wire.messages import GpuView, InstanceView

_UNKNOWN_UNITS = 8
"""The grid for a GPU whose placements we may not learn: slices by their share of its memory."""
_EVEN = 24
"""Bars are a multiple of this wide where there is room: 4, 8 and 12 slices divide it."""
_WIDEST = 120
_LEAST_NAME = 4
"""Cells below which part of a notebook's name says nothing."""


class Look(Enum):
    """How a stretch of memory is shown: its meaning, sign in ASCII, sign in UTF-8, colour."""

    MINE = ("yours", "#", "█", Ink.MINE)
    OTHERS = ("others'", "=", "▒", Ink.FAINT)
    PLANNED = ("planned", "+", "▚", Ink.MINE)
    FREE = ("free", ".", "·", Ink.FREE)
    CHANGING = ("being made or cleared", "~", "~", Ink.WARNING)
    STUCK = ("will not clear", "!", "!", Ink.WRONG)
    NOTHING = ("", " ", " ", Ink.PLAIN)

    def __init__(self, meaning: str, ascii_sign: str, utf8_sign: str, ink: Ink) -> None:
        self.meaning, self.ascii_sign, self.utf8_sign, self.ink = (
            meaning,
            ascii_sign,
            utf8_sign,
            ink,
        )

    def sign(self, terminal: Terminal) -> str:
        """The character that fills it."""
        return self.utf8_sign if terminal.utf8 else self.ascii_sign


class Stretch(msgspec.Struct, frozen=True):
    """``units`` neighbouring memory slices with one fate."""

    units: int
    look: Look
    size: str = ""
    name: str = ""


def stretches(gpu: GpuView, *, room: Look = Look.FREE) -> list[Stretch]:
    """The whole GPU, left to right. ``room`` is how memory without an instance looks.

    Instances whose placement the reader may not know fill the room from the left.
    """
    grid = gpu.units or _UNKNOWN_UNITS
    placed = {one.start: one for one in gpu.instances if one.start is not None}
    lost = [one for one in gpu.instances if one.start is None]
    drawn: list[Stretch] = []
    at = 0
    for start in sorted(placed):
        drawn += _fill(lost, start - at, gpu, room)
        drawn.append(_stretch(placed[start], gpu))
        at = start + _units(placed[start], gpu)
    drawn += _fill(lost, grid - at, gpu, room)
    return drawn + [_stretch(one, gpu) for one in lost]


def bar(parts: Iterable[Stretch], terminal: Terminal) -> str:
    """The stretches side by side, each as wide as its share, between upright lines."""
    parts = list(parts)
    total = sum(part.units for part in parts)
    inner = _inner(terminal.breadth, total)
    border = "│" if terminal.utf8 else "|"
    text, at = border, 0
    for part in parts:
        cells = (at + part.units) * inner // total - at * inner // total
        at += part.units
        text += terminal.paint(_filled(part, cells - 1, terminal), part.look.ink) + border
    return text


def legend(looks: Iterable[Look], terminal: Terminal) -> str:
    """What the signs in use mean."""
    used = set(looks)
    return "   ".join(
        terminal.paint(f"{look.sign(terminal)} {look.meaning}", look.ink)
        for look in Look
        if look in used and look.meaning
    )


def look(instance: InstanceView) -> Look:
    """Whose the instance is, or what is becoming of it."""
    match instance.state:
        case "creating" | "claiming" | "destroying":
            return Look.CHANGING
        case "condemned" | "unresolved":
            return Look.STUCK
        case "planned":
            return Look.PLANNED
        case "idle":
            return Look.FREE
        case _:
            return Look.MINE if instance.mine else Look.OTHERS


def _fill(lost: list[InstanceView], units: int, gpu: GpuView, room: Look) -> list[Stretch]:
    """Take from ``lost`` what fits into ``units``, and call the rest ``room``."""
    drawn = []
    while lost and _units(lost[0], gpu) <= units:
        units -= _units(lost[0], gpu)
        drawn.append(_stretch(lost.pop(0), gpu))
    return drawn if units <= 0 else [*drawn, Stretch(units, room, room.meaning)]


def _units(instance: InstanceView, gpu: GpuView) -> int:
    if instance.width:
        return instance.width
    share = instance.memory_bytes / (gpu.memory_bytes or 1)
    return max(1, round(share * (gpu.units or _UNKNOWN_UNITS)))


def _stretch(instance: InstanceView, gpu: GpuView) -> Stretch:
    name = PurePosixPath(instance.label).name.removesuffix(".ipynb") if instance.mine else ""
    return Stretch(_units(instance, gpu), look(instance), instance.profile, printable(name))


def _inner(columns: int, total: int) -> int:
    """Cells for ``total`` units with the border to the right of each stretch; two at least."""
    inner = min(columns, _WIDEST + 1) - 1
    return max(inner // _EVEN * _EVEN or inner, 2 * total)


def _filled(part: Stretch, cells: int, terminal: Terminal) -> str:
    sign = part.look.sign(terminal)
    text = _caption(part, cells - 2, terminal)
    if not text:
        return sign * cells
    blank = " " if width(text) + 4 <= cells else ""
    behind = cells - width(text) - 1 - 2 * len(blank)
    return sign + blank + text + blank + sign * behind


def _caption(part: Stretch, cells: int, terminal: Terminal) -> str:
    """The most telling text that fits: name and size, the size, its first half, nothing."""
    left = cells - 2 - width(part.size) - 1
    if part.name and left >= min(_LEAST_NAME, width(part.name)):
        return f"{clip(part.name, left, terminal.mark)} {part.size}"
    fitting = (text for text in (part.size, part.size.split(".")[0]) if width(text) <= cells)
    return next(fitting, "")
