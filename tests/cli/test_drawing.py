"""A GPU drawn to scale."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.cli.cells import width
from jupyter_mig.cli.drawing import Look, Stretch, bar, legend, look, stretches
from jupyter_mig.cli.terminal import Terminal
from jupyter_mig.wire.messages import GpuView, InstanceView
from tests.cli.views import GIB, gpu, instance

STATES = [
    "creating",
    "claiming",
    "held",
    "idle",
    "destroying",
    "condemned",
    "unresolved",
    "outside",
]
UNITS = st.sampled_from([4, 8, 12, 5, 1])


@st.composite
def gpus(draw: st.DrawFn) -> GpuView:
    """A GPU cut into random instances, the placement of some of them unknown."""
    units = draw(UNITS)
    edges = sorted(draw(st.sets(st.integers(0, units))) | {0, units})
    instances = [
        InstanceView(
            profile=draw(st.sampled_from(["1g.5gb", "3g.20gb", "1g.5gb+me"])),
            memory_bytes=GIB,
            state=draw(st.sampled_from(STATES)),
            start=draw(st.sampled_from([start, start, None])),
            width=end - start,
            label=draw(st.text(max_size=30)),
            mine=draw(st.booleans()),
        )
        for start, end in pairwise(edges)
        if draw(st.booleans())
    ]
    return gpu(*draw(st.permutations(instances)), units=units)


@given(gpus())
def test_every_instance_is_drawn_once(card: GpuView) -> None:
    """Each instance is one stretch, those with a known placement exactly there."""
    parts = stretches(card)
    drawn = [part for part in parts if part.size in {one.profile for one in card.instances}]
    assert len(drawn) == len(card.instances)
    assert sum(part.units for part in drawn) == sum(one.width or 0 for one in card.instances)
    at, starts = 0, {}
    for part in parts:
        starts[at] = part
        at += part.units
    for one in card.instances:
        if one.start is not None:
            assert starts[one.start].units == one.width
            assert starts[one.start].look is look(one)


@given(gpus().filter(lambda card: all(one.start is not None for one in card.instances)))
def test_every_unit_is_drawn_once(card: GpuView) -> None:
    """Instances and room together are the whole GPU."""
    assert sum(part.units for part in stretches(card)) == card.units


@given(gpus(), st.integers(20, 250), st.booleans())
def test_a_bar_is_to_scale_and_fits(card: GpuView, columns: int, utf8: bool) -> None:
    """No wider than the terminal, and a stretch of n units takes n shares, give or take a cell."""
    parts = stretches(card)
    total = sum(part.units for part in parts)
    if columns <= 2 * total:
        return
    drawn = bar(parts, Terminal(columns, utf8=utf8))
    inner = width(drawn) - 1
    assert inner < columns
    border = "│" if utf8 else "|"
    assert drawn[0] == drawn[-1] == border
    for part, end in zip(parts, _ends(parts), strict=True):
        assert _at(drawn, end * inner // total) == border
        assert abs(part.units * inner / total - _share(part, end, inner, total)) <= 1


def _ends(parts: list[Stretch]) -> list[int]:
    return [sum(part.units for part in parts[: index + 1]) for index in range(len(parts))]


def _share(part: Stretch, end: int, inner: int, total: int) -> int:
    return end * inner // total - (end - part.units) * inner // total


def _at(text: str, cell: int) -> str:
    """The character that stands in that cell."""
    return next(text[index] for index in range(len(text)) if width(text[: index + 1]) > cell)


@pytest.mark.parametrize("units", [4, 8, 12])
@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_bars_of_a_node_are_equally_wide(units: int, columns: int) -> None:
    """Whatever the model, so that GPUs can be compared by eye."""
    assert len(bar(stretches(gpu(units=units)), Terminal(columns))) == min(
        (columns - 1) // 24 * 24 + 1, 121
    )


def test_a_drawing_says_whose_is_what() -> None:
    """Mine by notebook, others' without name, free room named, all by sign."""
    card = gpu(
        instance("2g.10gb", 0, 2, mine=True, label="work/train.ipynb"),
        instance("1g.5gb", 2, 1, label="secret.ipynb"),
        instance("1g.5gb", 4, 1, state="condemned"),
        instance("1g.5gb", 5, 1, state="creating"),
        instance("1g.5gb", 6, 1, state="idle"),
    )
    assert bar(stretches(card), Terminal(80)) == (
        "|# train 2g.10gb #|=1g.5gb=|. free .|!1g.5gb!|~1g.5gb~|.1g.5gb.|. free .|"
    )


def test_unknown_placements_are_drawn_by_share_of_memory() -> None:
    """A reader without privilege learns no placements: 4 x 1g.5gb of 40 GB is half the bar."""
    four = [instance("1g.5gb", None, None, memory_bytes=5 * GIB) for _ in range(4)]
    parts = stretches(gpu(*four, units=0, mode="static"), room=Look.NOTHING)
    assert [part.units for part in parts] == [1, 1, 1, 1, 4]
    assert parts[-1].look is Look.NOTHING


def test_colours_only_add() -> None:
    """Without its escape sequences a coloured bar is the plain one."""
    parts = stretches(gpu(instance("3g.20gb", 4, 4, mine=True, label="a.ipynb")))
    coloured = bar(parts, Terminal(80, colours=True))
    plain = coloured
    for code in ("\x1b[36m", "\x1b[32m", "\x1b[0m"):
        assert code in coloured
        plain = plain.replace(code, "")
    assert plain == bar(parts, Terminal(80))


def test_without_utf8_everything_is_ascii() -> None:
    """Every sign has an ASCII form, and no two of them are the same."""
    assert legend(Look, Terminal()).isascii()
    for utf8 in (False, True):
        signs = [one.sign(Terminal(utf8=utf8)) for one in Look]
        assert len(set(signs)) == len(signs)
