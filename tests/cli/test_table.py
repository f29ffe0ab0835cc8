"""Rows and columns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.cli.cells import width
from jupyter_mig.cli.table import Column, flow, lines
from jupyter_mig.cli.terminal import Terminal

COLUMNS = st.builds(
    Column,
    title=st.text(max_size=8),
    right=st.booleans(),
    least=st.none() | st.integers(1, 9),
    tail=st.booleans(),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Column], list[list[str]]]:
    """Columns and rows that fit them."""
    columns = draw(st.lists(COLUMNS, min_size=1, max_size=6))
    row = st.lists(st.text(max_size=30), min_size=len(columns), max_size=len(columns))
    return columns, draw(st.lists(row, max_size=5))


@given(tables(), st.integers(1, 200), st.booleans())
def test_no_line_exceeds_the_terminal(
    table: tuple[list[Column], list[list[str]]], columns: int, utf8: bool
) -> None:
    """However narrow it is, and one line a row, titles first."""
    drawn = lines(*table, Terminal(columns, utf8=utf8))
    assert len(drawn) == 1 + len(table[1])
    assert all(width(line) <= columns for line in drawn)


def test_without_a_limit_nothing_is_cut() -> None:
    """A file or a pipe gets everything."""
    assert lines(
        [Column("A", least=1), Column("N", right=True)], [["x" * 300, "1"]], Terminal()
    ) == [
        "A" + " " * 299 + "  N",
        "x" * 300 + "  1",
    ]


def test_only_what_may_shrink_shrinks() -> None:
    """The widest of the columns that allow it gives way, and a path keeps its end."""
    columns = [Column("PATH", least=6, tail=True), Column("SIZE"), Column("ID", least=4)]
    drawn = lines(columns, [["work/deep/train.ipynb", "1g.5gb", "abcdef"]], Terminal(29, utf8=True))
    assert drawn == [
        "PATH           SIZE    ID",
        "…/train.ipynb  1g.5gb  abcdef",
    ]


@given(st.lists(st.text(alphabet="ab", min_size=1, max_size=20), max_size=20), st.integers(20, 100))
def test_flowing_items_keep_order_and_width(items: list[str], limit: int) -> None:
    """All items, in order, no line longer than the limit."""
    rows = flow(items, limit)
    assert " ".join(rows).split() == items
    assert all(len(row) <= limit for row in rows)
