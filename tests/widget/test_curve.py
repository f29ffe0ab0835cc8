"""The small curve: what it keeps, and that it holds still."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.widget.curve import COLUMN_SECONDS, COLUMNS, LEVELS, curve

ages = st.floats(0, 900)
shares = st.floats(0, 1)
points = st.lists(st.tuples(ages, shares), max_size=60)
nows = st.floats(1_000, 1e7)


@given(points, nows)
def test_it_stays_in_its_frame(points: list[tuple[float, float]], now_seconds: float) -> None:
    """Corners lie within columns and levels and go from left to right, up to now."""
    corners = curve(points, now_seconds)
    columns = [column for column, _ in corners]
    assert columns == sorted(set(columns))
    assert all(0 <= column < COLUMNS for column in columns)
    assert all(0 <= level <= LEVELS for _, level in corners)
    assert (columns[-1:] == [COLUMNS - 1]) == bool(points)


@given(shares, nows, st.floats(0, 1e4))
def test_what_did_not_change_looks_the_same_for_ever(
    share: float, now_seconds: float, later_seconds: float
) -> None:
    """Five minutes after the last change the curve is flat and sends nothing any more."""
    steady = [(5.0 * number, share) for number in range(70)]
    assert curve(steady, now_seconds) == curve(steady, now_seconds + later_seconds)
    assert len(curve(steady, now_seconds)) == 2


@given(points, st.integers(100, 10**6), st.floats(0, 0.99))
def test_within_a_column_nothing_moves(
    points: list[tuple[float, float]], column: int, later: float
) -> None:
    """A point stays in its column while it ages, so looks in between change nothing."""
    begins = column * COLUMN_SECONDS
    whole = [(round(age_seconds), share) for age_seconds, share in points]
    aged = [(age_seconds + later * COLUMN_SECONDS, share) for age_seconds, share in whole]
    middle = begins + 0.001
    assert curve(whole, middle) == curve(aged, middle + later * COLUMN_SECONDS)


def test_a_peak_shows_and_a_gap_is_bridged() -> None:
    """The highest point of a column counts; where there is none, the one before holds."""
    corners = curve([(290.0, 0.5), (45.0, 0.0), (41.0, 1.0), (5.0, 0.5)], 1_000.5)
    assert corners == ((0, 10), (23, 10), (24, 20), (27, 20), (28, 10), (29, 10))
