"""What a monitor shows, as a card and in one line."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig import errors
from jupyter_mig.widget.card import card
from jupyter_mig.widget.current import CurrentSlice
from jupyter_mig.widget.face import GIB, NO_SLICE, Face, Portrait
from jupyter_mig.widget.reader import Sight
from jupyter_mig.widget.words import line
from jupyter_mig.wire.messages import HistoryPoint, SliceNowView, SliceReadingsView

MINE = CurrentSlice("L", "MIG-1", "1g.10gb", 10 * GIB, "NVIDIA H100", 0, simulated=False)
TOTAL = int(9.8 * GIB)


def seen(used_gib: float = 2.9, sm: float | None = 43.0, **more: Any) -> SliceNowView:
    """A look at a slice of 9.8 GiB."""
    readings = SliceReadingsView(
        "i1",
        memory_used_bytes=int(used_gib * GIB),
        memory_total_bytes=TOTAL,
        utilization={} if sm is None else {"sm": sm},
        utilization_source="" if sm is None else "GPM",
        utilization_not_available="GPM needs a Hopper GPU" if sm is None else "",
    )
    return SliceNowView("L", "bound", "1g.10gb", readings=readings, **more)


def face(sight: Sight, mine: CurrentSlice = MINE) -> Face:
    """The first face."""
    return Portrait(mine).face(sight, 1_000.0)


def test_one_line_says_it_all() -> None:
    """In a terminal, and where a notebook is read without its kernel."""
    assert line(face(Sight(seen()))) == "1g.10gb on GPU 0: 2.9 of 9.8 GiB, SM 43 %"


def test_simulation_is_said() -> None:
    """In both, whoever tells: the environment or the broker."""
    for told in (
        face(Sight(seen(simulated=True))),
        face(Sight(seen()), msgspec.structs.replace(MINE, simulated=True)),
    ):
        assert "(simulated)" in line(told)
        assert ">simulated<" in card(told)


def test_numbers_have_their_source() -> None:
    """Of the utilization, which is measured in more ways than one."""
    assert "43 %" in card(face(Sight(seen())))
    assert "(GPM)" in card(face(Sight(seen())))


def test_what_cannot_be_measured_says_why() -> None:
    """Utilization on older GPUs; memory of a GPU that is lost."""
    words = line(face(Sight(seen(sm=None))))
    assert words.endswith("2.9 of 9.8 GiB, Utilization not available: GPM needs a Hopper GPU")
    lost = SliceReadingsView("i1", memory_not_available="the GPU is lost")
    view = SliceNowView("L", "bound", "1g.10gb", readings=lost)
    assert "Memory not available: the GPU is lost" in line(face(Sight(view)))
    none = SliceNowView("L", "bound", "1g.10gb")
    assert "nothing was read yet" in line(face(Sight(none)))


def test_the_end_by_a_rule_is_said_in_two_steps() -> None:
    """Ten minutes before, and two; not what nobody can do anything about yet."""
    notes = [
        face(Sight(seen(rule="rule 1 (*)", ends_in_seconds=left))).notes
        for left in (700.0, 599.0, 61.0)
    ]
    assert notes[0] == ()
    assert notes[1] == (
        "The slice ends in less than 10 minutes, by rule 1 (*): save what you need.",
    )
    assert "less than 2 minutes" in notes[2][0]


def test_nearly_full_is_said_in_words_too() -> None:
    """Colour is never the only sign."""
    full = face(Sight(seen(used_gib=9.3)))
    assert "nearly full" in line(full)
    assert "nearly full" in card(full)
    assert "nearly full" not in line(face(Sight(seen(used_gib=8.0))))


def test_an_unreachable_broker_leaves_the_last_readings_marked() -> None:
    """The slice is still there; so is what was known of it."""
    gone = errors.BrokerUnreachable("The broker does not answer.")
    stale = face(Sight(seen(), gone))
    assert "The broker does not answer." in line(stale)
    assert "still yours" in line(stale)
    assert "2.9 of 9.8 GiB" in line(stale)
    assert "jp-mod-stale" in card(stale)


def test_without_any_look_the_environment_tells_what_it_can() -> None:
    """The size, and what cannot be shown."""
    blind = face(Sight(trouble=errors.BrokerUnreachable("No key.", situation="Cannot be shown.")))
    assert line(blind) == "1g.10gb on GPU 0: Memory 10.0 GiB in all. No key. Cannot be shown."


def test_an_ended_lease_shows_no_readings() -> None:
    """They would be another's."""
    over = face(Sight(seen(), errors.LeaseEnded("The lease is over.", next_step="Restart.")))
    assert line(over) == "1g.10gb on GPU 0. The lease is over. Restart."


def test_another_size_than_asked_for_is_said() -> None:
    """The node lacks what the notebook names."""
    other = face(Sight(seen()), msgspec.structs.replace(MINE, instead_of="1g.5gb"))
    assert "Asked for 1g.5gb" in line(other)


def test_no_slice_is_said() -> None:
    """Instead of a card without content."""
    assert line(NO_SLICE) == "No slice. This program was not started on a MIG slice."


class _Tags(HTMLParser):
    """Which elements there are."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One more."""
        self.tags.add(tag)


@given(st.text(), st.text())
def test_nothing_that_is_told_is_taken_for_html(name: str, message: str) -> None:
    """Names and messages come from other programs."""
    hostile = msgspec.structs.replace(MINE, profile=f"{name}<img src=x>", gpu_name=f'"><p {name}')
    gone = errors.BrokerUnreachable(f"<script>{message}</script>")
    tags = _Tags()
    tags.feed(card(face(Sight(seen(), gone), hostile)))
    assert tags.tags <= {"div", "b", "span", "br", "svg", "polyline"}


@given(st.floats(0, 9.8), st.floats(0, 100), st.lists(st.floats(-0.04, 0.04), max_size=20))
def test_what_trembles_does_not_show(used_gib: float, sm: float, tremors: list[float]) -> None:
    """Readings within half a step of the first look the same, wherever the first one was."""
    portrait = Portrait(MINE)
    first = portrait.face(Sight(seen(used_gib, sm)), 1_000.0)
    for tremor in tremors:
        again = seen(max(used_gib + tremor, 0.0), min(max(sm + 10 * tremor, 0.0), 100.0))
        assert portrait.face(Sight(again), 1_000.0) == first


@given(st.lists(st.floats(0, 9.8), min_size=1, max_size=20))
def test_what_is_shown_is_true_within_a_step(memory: list[float]) -> None:
    """However the readings come."""
    portrait = Portrait(MINE)
    for used_gib in memory:
        shown = portrait.face(Sight(seen(used_gib)), 1_000.0).gauges[0]
        assert abs(float(shown.words.split()[0]) - used_gib) <= 0.1 + 1e-6
        assert shown.share is not None
        assert 0 <= shown.share <= 1


def test_the_curves_are_those_of_the_points() -> None:
    """One of memory, one of the utilization that leads."""
    points = (HistoryPoint(100.0, TOTAL // 2, 100.0), HistoryPoint(1.0, TOTAL, 0.0))
    memory, sm = face(Sight(seen(points=points))).gauges
    assert [memory.curve[0][1], memory.curve[-1][1]] == [10, 20]
    assert [sm.curve[0][1], sm.curve[-1][1]] == [20, 0]
    assert card(face(Sight(seen(points=points)))).count("<polyline") == 2
