"""The last minutes of a quantity as the steps of a small curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

COLUMNS = 30
COLUMN_SECONDS = 10.0
"""Thirty columns of ten seconds: five minutes. After the last change the curve moves on for as
long, once in ten seconds; then it is flat, and stays."""

LEVELS = 20

Curve = tuple[tuple[int, int], ...]
"""Corners, the oldest first: column (0 to COLUMNS - 1) and level (0 to LEVELS)."""


def curve(points: Sequence[tuple[float, float]], now_seconds: float) -> Curve:
    """The corners of the curve of ``points``: age in seconds, and share from 0 to 1.

    Columns are cut at fixed times, not at ages, so a point stays in its column as it ages. Where
    there is none, the one before holds.
    """
    last = math.floor(now_seconds / COLUMN_SECONDS)
    highest: dict[int, float] = {}
    for age_seconds, share in points:
        column = math.floor((now_seconds - age_seconds) / COLUMN_SECONDS)
        highest[column] = max(share, highest.get(column, 0.0))
    levels: list[tuple[int, int]] = []
    known = 0
    for column in range(min(highest, default=last + 1), last + 1):
        known = _level(highest[column]) if column in highest else known
        levels.append((column - last + COLUMNS - 1, known))
    return _corners([(column, level) for column, level in levels if column >= 0])


def _level(share: float) -> int:
    return round(min(max(share, 0.0), 1.0) * LEVELS)


def _corners(levels: list[tuple[int, int]]) -> Curve:
    """``levels`` without those that are as the ones on both their sides."""
    inner = [
        here
        for before, here, after in zip(levels, levels[1:], levels[2:], strict=False)
        if not before[1] == here[1] == after[1]
    ]
    return (*levels[:1], *inner, *levels[-1:]) if len(levels) > 1 else tuple(levels)
