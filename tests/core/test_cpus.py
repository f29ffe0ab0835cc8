from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.core import cpus


@given(st.frozensets(st.integers(0, cpus.MOST - 1)))
def test_a_list_reads_back(some: frozenset[int]) -> None:
    """Whatever CPUs are in it."""
    assert cpus.parse(cpus.listed(some)) == some


@pytest.mark.parametrize(
    ("text", "meant"),
    [("0-3,8\n", {0, 1, 2, 3, 8}), ("", set()), ("7,5,5-6", {5, 6, 7}), ("0", {0})],
)
def test_lists_are_read_as_linux_writes_them(text: str, meant: set[int]) -> None:
    """With the end of the line that files below /sys have."""
    assert cpus.parse(text) == meant


def test_neighbours_are_one_run() -> None:
    """The shortest list there is."""
    assert cpus.listed([64, 1, 0, 2, 66]) == "0-2,64,66"


@pytest.mark.parametrize("text", ["a", "3-1", "0-99999999999", "-1", "1-2-3", "0-0x3"])
def test_no_list_of_cpus(text: str) -> None:
    """Nor is one that names more CPUs than there can be."""
    with pytest.raises(ValueError, match=r".+"):
        cpus.parse(text)
