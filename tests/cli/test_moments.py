"""Points in time as administrators write them."""

from __future__ import annotations

import time

import pytest

from jupyter_mig.cli.admin import moments
from jupyter_mig.errors import BadRequest

NOW = 2_000_000_000.0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", NOW - 86400),
        ("30m", NOW - 1800),
        ("7d", NOW - 7 * 86400),
        ("1999999999.5", 1_999_999_999.5),
        ("2026-01-31T13:00+00:00", 1_769_864_400.0),
    ],
)
def test_what_is_understood(text: str, moment: float) -> None:
    """Ago, Unix time, ISO 8601."""
    assert moments.parse(text, NOW) == moment


def test_a_date_is_its_beginning_here() -> None:
    """As it is shown again."""
    moment = moments.parse("2026-01-31", NOW)
    assert time.localtime(moment)[:6] == (2026, 1, 31, 0, 0, 0)
    assert moments.shown(moment) == "2026-01-31 00:00:00"


@pytest.mark.parametrize("text", ["", "yesterday", "7w", "-1h", "2026-13-01", "12", "nan"])
def test_what_is_not(text: str) -> None:
    """It says what would be."""
    with pytest.raises(BadRequest, match="is no point in time"):
        moments.parse(text, NOW)
