"""Rows and columns, as wide as what is in them and never wider than the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jupyter_mig.cli.cells import clip, clip_front, pad_left, pad_right, printable, width
from jupyter_mig.cli.terminal import Ink, Terminal

GAP = "  "
NOTHING = "-"
"""What a cell holds for which there is nothing to say."""


class Column(msgspec.Struct, frozen=True):
    """A title and how its cells behave: numbers to the right, long names down to ``least``, of
    paths the ``tail`` kept. One that is ``optional`` is left out where no row has anything in it.
    """

    title: str
    right: bool = False
    least: int | None = None
    tail: bool = False
    optional: bool = False


def lines(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], terminal: Terminal
) -> list[str]:
    """The table, its titles first. What must be cut is cut in the widest column that allows it;
    where even that is too much, lines end at the edge.
    """
    shown = [index for index, column in enumerate(columns) if _is_shown(column, index, rows)]
    columns = [columns[index] for index in shown]
    texts = [[printable(row[index]) for index in shown] for row in rows]
    widths = _fitting(columns, _natural(columns, texts), terminal.columns)
    titles = _line(columns, [column.title for column in columns], widths, terminal)
    body = [_line(columns, row, widths, terminal) for row in texts]
    return [terminal.paint(titles, Ink.STRONG), *body]


def _is_shown(column: Column, index: int, rows: Sequence[Sequence[str]]) -> bool:
    return not column.optional or any(row[index] != NOTHING for row in rows)


def _natural(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(width(text) for text in (column.title, *(row[index] for row in rows)))
        for index, column in enumerate(columns)
    ]


def _fitting(columns: Sequence[Column], natural: list[int], limit: int | None) -> list[int]:
    if limit is None:
        return natural
    widths = list(natural)
    spare = [max(0, _spare(column, size)) for column, size in zip(columns, widths, strict=True)]
    excess = sum(widths) + len(GAP) * (len(columns) - 1) - limit
    for _ in range(min(excess, sum(spare))):
        index = max(range(len(widths)), key=lambda one: (spare[one] > 0, widths[one]))
        widths[index] -= 1
        spare[index] -= 1
    return widths


def _spare(column: Column, size: int) -> int:
    return 0 if column.least is None else size - max(column.least, width(column.title))


def _line(
    columns: Sequence[Column], texts: Sequence[str], widths: Sequence[int], terminal: Terminal
) -> str:
    padded = (
        (pad_left if column.right else pad_right)(_cut(column, text, size, terminal), size)
        for column, text, size in zip(columns, texts, widths, strict=True)
    )
    whole = GAP.join(padded).rstrip()
    return whole if terminal.columns is None else clip(whole, terminal.columns, terminal.mark)


def _cut(column: Column, text: str, size: int, terminal: Terminal) -> str:
    return (clip_front if column.tail else clip)(text, size, terminal.mark)


def flow(items: Sequence[str], limit: int) -> list[str]:
    """Short items in as many equal columns as fit in ``limit`` cells, row by row."""
    if not items:
        return []
    size = max(width(item) for item in items)
    across = max(1, (limit + len(GAP)) // (size + len(GAP)))
    rows = [items[start : start + across] for start in range(0, len(items), across)]
    return [GAP.join(pad_right(item, size) for item in row).rstrip() for row in rows]
