"""Text measured in terminal cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.cli import cells

MARKS = st.sampled_from(["…", ".."])


@given(st.text(), st.integers(0, 40), MARKS)
def test_clipping_never_exceeds_and_keeps_what_fits(text: str, room: int, mark: str) -> None:
    """Clipped text takes at most the room, and is the text itself when that fits."""
    for cut in (cells.clip(text, room, mark), cells.clip_front(text, room, mark)):
        assert cells.width(cut) <= room
        assert cut == text or cells.width(text) > room


@given(st.text(min_size=1), st.integers(2, 40), MARKS)
def test_clipping_keeps_the_chosen_end(text: str, room: int, mark: str) -> None:
    """``clip`` keeps a beginning, ``clip_front`` an end, and the mark is where text is missing."""
    if cells.width(text) > room:
        cut, tail = cells.clip(text, room, mark), cells.clip_front(text, room, mark)
        assert cut.endswith(mark)
        assert text.startswith(cut.removesuffix(mark))
        assert tail.startswith(mark)
        assert text.endswith(tail.removeprefix(mark))


@given(st.text(), st.integers(0, 100))
def test_padding_fills_exactly(text: str, room: int) -> None:
    """Padded text takes the room, or its own width when that is more."""
    expected = max(room, cells.width(text))
    assert cells.width(cells.pad_left(text, room)) == expected
    assert cells.width(cells.pad_right(text, room)) == expected


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("電影", 4), ("e\u0301", 1), ("", 0)])
def test_width_counts_cells(text: str, width: int) -> None:
    """Wide characters take two cells, combining ones none."""
    assert cells.width(text) == width


@given(st.text())
def test_printable_text_cannot_move_the_cursor(text: str) -> None:
    """No escape, newline or other control character survives."""
    assert cells.printable(text).isprintable()


def test_an_escape_sequence_is_defused() -> None:
    """A notebook may be called anything."""
    assert cells.printable("a\x1b[2Jb.ipynb") == "a?[2Jb.ipynb"
