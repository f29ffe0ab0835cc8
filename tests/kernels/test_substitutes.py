"""What is given for a size that the node lacks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.core.sizes import order
from jupyter_mig.kernels.substitutes import smallest_covering
from jupyter_mig.wire.messages import SizeCount
from tests.kernels.nodes import A100, RTX

H200 = ("1g.18gb", "1g.18gb+me", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb")
A30 = ("1g.6gb", "1g.6gb+me", "2g.12gb", "2g.12gb+me", "4g.24gb")
NAMES = st.sampled_from(sorted({*A100, *RTX, *H200, *A30}))


def _counts(names: tuple[str, ...]) -> list[SizeCount]:
    figures = [(name, order(name)[0], order(name)[1] << 30) for name in names]
    return [SizeCount(name, 1, 1, memory, 14 * g, g) for name, g, memory in figures]


@pytest.mark.parametrize(
    ("asked", "node", "given"),
    [
        ("1g.10gb", H200, "1g.18gb"),
        ("1g.10gb+me", H200, "1g.18gb+me"),
        ("3g.20gb", H200, "3g.71gb"),
        ("1g.10gb", A30, "2g.12gb"),
        ("7g.40gb", A30, None),
        ("1g.24gb+gfx", H200, None),
        ("40gb+", A30, None),
        ("small", H200, None),
    ],
)
def test_the_smallest_that_covers(asked: str, node: tuple[str, ...], given: str | None) -> None:
    """In compute slices and in memory, with the same media engines; or nothing."""
    assert smallest_covering(asked, _counts(node)) == given


@given(NAMES, st.lists(NAMES, unique=True))
def test_it_is_one_of_the_nodes_and_no_smaller_in_anything(asked: str, names: list[str]) -> None:
    """And nothing is given only if nothing on the node would do."""
    found = smallest_covering(asked, _counts(tuple(names)))
    covering = [name for name in names if _covers(order(name), order(asked))]
    assert (found in covering) if covering else (found is None)
    if found is not None:
        assert order(found)[1] == min(order(name)[1] for name in covering)


def _covers(offer: tuple[int, int, str, str], asked: tuple[int, int, str, str]) -> bool:
    return offer[0] >= asked[0] and offer[1] >= asked[1] and offer[2] == asked[2]
