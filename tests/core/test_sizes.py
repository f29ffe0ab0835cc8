from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.core.sizes import (
    AtLeast,
    Exactly,
    Offer,
    is_meant,
    is_plain,
    order,
    parse,
    preferences,
    slug,
    whole_gpu,
)
from tests.core.nodes import A100, RTX_PRO

OFFERS = [Offer(p.name, p.memory_bytes, p.width) for p in A100.profiles]


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("1g.10gb", Exactly("1g.10gb")),
        (" 1G.10GB ", Exactly("1g.10gb")),
        ("1g.5gb+me", Exactly("1g.5gb+me")),
        ("20gb+", AtLeast(20)),
        ("small", Exactly("1g.5gb")),
        ("big", AtLeast(40)),
        ("nonsense", Exactly("nonsense")),
        ("", Exactly("")),
    ],
)
def test_parse(text: str, request_: Exactly | AtLeast) -> None:
    """A size is a profile, a requirement or an administrator's name; an unknown word is a profile
    that nobody has.
    """
    assert parse(text, {"small": "1g.5gb", "big": "40gb+"}) == request_


@given(st.text())
def test_every_text_means_something(text: str) -> None:
    """Nothing that a user can type makes parsing fail."""
    preferences(parse(text), OFFERS)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("10gb+", ["1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"]),
        ("11gb+", ["3g.20gb", "4g.20gb", "7g.40gb"]),
        ("41gb+", []),
        ("2g.10gb", ["2g.10gb"]),
        ("1g.5gb+me", ["1g.5gb+me"]),
    ],
)
def test_preferences(text: str, names: list[str]) -> None:
    """The smallest satisfying profile comes first, and no requirement is met by a variant."""
    assert preferences(parse(text), [*reversed(OFFERS), *OFFERS]) == names


def test_order_reads_like_numbers() -> None:
    """5 GB stands before 10 GB, plain before variants, whole GPUs and strange names last."""
    names = [
        "whole",
        "full.40gb",
        "full.8gb",
        "7g.40gb",
        "1g.5gb+me",
        "1g.10gb",
        "2g.10gb",
        "1g.5gb",
    ]
    assert sorted(names, key=order) == [
        "1g.5gb", "1g.5gb+me", "1g.10gb", "2g.10gb", "7g.40gb", "full.8gb", "full.40gb",
        "whole",
    ]  # fmt: skip


def test_plain_and_slug() -> None:
    """Variants are told by their suffix; kernelspec names allow no plus sign."""
    assert [is_plain(p.name) for p in RTX_PRO.profiles] == [True, False, False, True, True]
    assert slug("1g.24gb+me.all") == "1g.24gb.me.all"


@pytest.mark.parametrize(
    ("mebibytes", "name"),
    [(24564, "full.24gb"), (81559, "full.80gb"), (143771, "full.141gb"), (0, "full")],
)
def test_a_whole_gpu_has_a_size(mebibytes: int, name: str) -> None:
    """Memory as people say it; a plain size, which a requirement accepts if its memory is known."""
    assert whole_gpu(mebibytes * 2**20) == name
    assert slug(name) == name
    known = name != "full"
    assert is_plain(name) == known
    assert parse("24gb+").accepts(Offer(name, mebibytes * 2**20)) == known


@pytest.mark.parametrize(
    ("text", "means"),
    [("1g.10gb", True), ("20gb+", True), ("small", True), ("full.24gb", True), ("1g10gb", False)],
)
def test_what_looks_like_a_size(text: str, means: bool) -> None:
    """A profile, a requirement, or a name for one: for what an administrator writes."""
    assert is_meant(text, {"small": "1g.10gb"}) is means
