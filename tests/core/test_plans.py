"""Plans: what the ledger would do, told without doing it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.core import events, plans
from jupyter_mig.core.geometry import Geometry
from jupyter_mig.core.leases import LeaseState
from jupyter_mig.core.plans import Shortage
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import State
from tests.core.nodes import A30, A100, GEOMETRIES
from tests.core.story import ALICE, BOB, Story, server

RULES = Rules()
ALL = ("GPU-0", "GPU-1")


def ask(number: int, size: str, owner: int = ALICE) -> events.Ask:
    """A request that waits for ever."""
    return events.Ask(f"l{number}", f"k{number}", owner, server(owner), size, patience_seconds=None)


def left(state: State, *mix: str, gpus: tuple[str, ...] = ALL) -> list[str]:
    """The sizes for which there is no place now."""
    return [lease.size for lease in plans.now(state, RULES, mix, ALICE, gpus).left_over]


@st.composite
def nodes_and_mixes(draw: st.DrawFn) -> tuple[Geometry, list[str], list[str]]:
    """A model, what is held on a node of two of it, and a mix."""
    geometry = GEOMETRIES[draw(st.sampled_from(sorted(GEOMETRIES)))]
    names = st.sampled_from(sorted(geometry.by_name))
    return (
        geometry,
        draw(st.lists(names, max_size=6)),
        draw(st.lists(names, min_size=1, max_size=8)),
    )


@given(nodes_and_mixes())
def test_a_plan_is_what_would_happen_and_changes_nothing(
    node: tuple[Geometry, list[str], list[str]],
) -> None:
    """The same asked for in earnest gets the same places; planning left no trace."""
    geometry, held, mix = node
    story = Story(geometry, geometry)
    story.happen(events.SlicesRequested(tuple(ask(n, size, BOB) for n, size in enumerate(held))))
    story.settle()
    before = story.ledger.snapshot()
    trial = plans.now(story.ledger.state, RULES, mix, ALICE, ALL)
    assert story.ledger.snapshot() == before
    story.happen(events.SlicesRequested(tuple(ask(100 + n, size) for n, size in enumerate(mix))))
    for number, planned in enumerate(trial.leases):
        real = story.ledger.state.leases[f"l{100 + number}"]
        there, here = trial.state.place_of(planned), story.ledger.state.place_of(real)
        assert (there and there.spec) == (here and here.spec)


@given(nodes_and_mixes())
def test_what_is_left_over_could_not_be_had_alone(
    node: tuple[Geometry, list[str], list[str]],
) -> None:
    """With the rest of the mix placed there is no room for any of it, and a reason for that."""
    geometry, held, mix = node
    story = Story(geometry, geometry)
    story.happen(events.SlicesRequested(tuple(ask(n, size, BOB) for n, size in enumerate(held))))
    story.settle()
    trial = plans.now(story.ledger.state, RULES, mix, ALICE, ALL)
    for lease in trial.left_over:
        why = plans.shortage(trial.state, RULES, lease.size)
        assert why not in {Shortage.IN_USE, Shortage.IN_LINE}


def test_an_empty_node_forgets_everybody() -> None:
    """Held, waiting and parked: all away."""
    story = Story(A100)
    story.happen(events.SlicesRequested(tuple(ask(n, "7g.40gb", BOB) for n in (1, 2))))
    story.settle()
    state = story.ledger.state
    assert left(state, "3g.20gb") == ["3g.20gb"]
    assert not plans.empty(state, RULES, ["3g.20gb"] * 2, ALICE, ALL).left_over
    assert len(plans.empty(state, RULES, ["3g.20gb"] * 3, ALICE, ALL).left_over) == 1


def test_an_administrators_instances_are_what_there_is() -> None:
    """Nothing else can be had from that GPU; on an empty node they are free."""
    story = Story(A100, static={0: [("3g.20gb", 4), ("1g.5gb", 0)]})
    assert left(story.ledger.state, "3g.20gb", "1g.5gb") == []
    story.happen(events.SlicesRequested((ask(1, "3g.20gb", BOB),)))
    story.settle()
    state = story.ledger.state
    assert left(state, "3g.20gb", "1g.5gb") == ["3g.20gb"]
    assert plans.shortage(state, RULES, "3g.20gb") is Shortage.IN_USE
    trial = plans.empty(state, RULES, ["3g.20gb", "1g.5gb", "1g.5gb"], ALICE, ALL)
    assert [lease.size for lease in trial.left_over] == ["1g.5gb"]


def test_some_gpus_alone() -> None:
    """What others have is not there."""
    story = Story(A100, A30)
    state = story.ledger.state
    assert left(state, "2g.12gb", gpus=("GPU-1",)) == []
    (lease,) = plans.now(state, RULES, ["2g.12gb"], ALICE, ("GPU-0",)).leases
    assert lease.state is LeaseState.RELEASED


@pytest.mark.parametrize(
    ("held", "size", "why"),
    [
        (["7g.40gb"], "1g.5gb", Shortage.FULL),
        (["1g.5gb+me"], "1g.5gb+me", Shortage.LIMIT),
        (["4g.20gb", "1g.5gb"], "3g.20gb", Shortage.FULL),
        (["1g.5gb"] * 4 + ["1g.10gb"], "7g.40gb", Shortage.FULL),
        (["3g.20gb", "2g.10gb", "1g.5gb"], "1g.10gb", Shortage.FULL),
    ],
)
def test_the_reason(held: list[str], size: str, why: Shortage) -> None:
    """On one A100."""
    story = Story(A100)
    story.happen(events.SlicesRequested(tuple(ask(n, one, BOB) for n, one in enumerate(held))))
    story.settle()
    assert left(story.ledger.state, size) == [size]
    assert plans.shortage(story.ledger.state, RULES, size) is why


def test_scattered_room_is_said_as_such() -> None:
    """Two free slices that do not lie where 2g.10gb may start."""
    story = Story(A100)
    story.happen(events.SlicesRequested(tuple(ask(n, "1g.5gb", BOB) for n in range(7))))
    story.settle()
    assert left(story.ledger.state, "1g.5gb") == ["1g.5gb"]
    assert plans.shortage(story.ledger.state, RULES, "1g.5gb") is Shortage.SCATTERED


def test_who_waited_long_is_not_passed() -> None:
    """There is room, and it is kept."""
    story = Story(A100)
    story.bound("small", "3g.20gb", BOB)
    story.ask("large", "7g.40gb", BOB, patience=None)
    assert left(story.ledger.state, "1g.5gb") == []
    story.wait(RULES.overtake + 1)
    assert left(story.ledger.state, "1g.5gb") == ["1g.5gb"]
    assert plans.shortage(story.ledger.state, RULES, "1g.5gb") is Shortage.IN_LINE


def test_a_plan_keeps_to_limits() -> None:
    """What is more than a rule allows has no place, now or ever; what one holds counts now, also
    what one holds on a GPU that is not asked about.
    """
    story = Story(A100, A30)
    two = Limits("r", slices=2)
    story.granted("a", "1g.6gb", limits=two)
    state, mix = story.ledger.state, ("1g.5gb", "1g.5gb")
    now = plans.now(state, RULES, mix, ALICE, ("GPU-0",), limits=two)
    assert [plans.exceeds(now, RULES, lease) for lease in now.left_over] == [True]
    assert not plans.empty(state, RULES, mix, ALICE, ALL, limits=two).left_over
    assert not plans.now(state, RULES, mix, BOB, ALL, limits=two).left_over
    one = Limits("r", slices=1)
    now = plans.now(state, RULES, ("1g.5gb",), ALICE, ("GPU-0",), limits=one)
    assert [plans.exceeds(now, RULES, lease) for lease in now.left_over] == [True]


def test_want_of_room_is_no_matter_of_limits() -> None:
    """Somebody else has it."""
    story = Story(A100)
    story.granted("a", "7g.40gb", BOB)
    trial = plans.now(
        story.ledger.state, RULES, ("1g.5gb",), ALICE, ALL, limits=Limits("r", slices=1)
    )
    assert [plans.exceeds(trial, RULES, lease) for lease in trial.left_over] == [False]
