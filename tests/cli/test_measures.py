"""Numbers as people read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.cli.measures import counted, duration, memory, ordinal


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (41 * 60 + 59, "41 min"),
        (3600, "1 h 00 min"),
        (3 * 3600 + 5 * 60, "3 h 05 min"),
        (25 * 3600, "1 d 1 h"),
    ],
)
def test_a_duration_reads_as_people_say_it(seconds: float, text: str) -> None:
    """Two units at most, rounded down."""
    assert duration(seconds) == text


@given(st.integers(0, 10**8))
def test_a_duration_is_never_more_than_what_passed(seconds: int) -> None:
    """Adding up the units gives at most the seconds, and less than one smallest unit is lost."""
    units = {"s": 1, "min": 60, "h": 3600, "d": 86400}
    parts = re.findall(r"(\d+) (\w+)", duration(seconds))
    told = sum(int(number) * units[unit] for number, unit in parts)
    assert told <= seconds < told + units[parts[-1][1]]


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (512 * 2**20, "512 MiB"),
        (4_964_982_784, "4.6 GiB"),
        (2**30, "1.0 GiB"),
        (2**40, "1024.0 GiB"),
    ],
)
def test_memory_reads_in_gib(size_bytes: int, text: str) -> None:
    """GiB with one decimal, MiB below one GiB."""
    assert memory(size_bytes) == text


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (21, "21st"),
        (113, "113th"),
    ],
)
def test_an_ordinal_has_its_english_ending(place: int, text: str) -> None:
    """Eleven to thirteen are the exceptions."""
    assert ordinal(place) == text


def test_one_is_singular() -> None:
    """One request, several requests."""
    assert (counted(1, "request"), counted(2, "request")) == ("1 request", "2 requests")
