from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from jupyter_mig.core import actions
from jupyter_mig.core.events import Ask, ResizeRequested, SlicesRequested, TimePassed
from jupyter_mig.core.leases import EndReason, LeaseState
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.queries import place_in_line
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import PlaceState
from tests.core.nodes import A100, RTX_PRO
from tests.core.story import ALICE, BOB, Story, kinds, server
from tests.core.world import kernel

WARM = Rules(warm=60.0)


def taken_away(story: Story, name: str, pid: int = 500) -> None:
    """The kernel of a lease ends and its slice is free."""
    story.dies(kernel(pid))
    story.release(name)
    story.settle()


def test_line_in_order() -> None:
    """Who waits has a place; the first in line is served first, the others move up."""
    story = Story(A100)
    story.bound("a", "7g.40gb")
    for name in ("b", "c", "d"):
        assert story.ask(name, "7g.40gb", BOB, None) == [actions.Enqueue(name)]
    state = story.ledger.state
    assert [place_in_line(state, story.rules, name) for name in ("a", "b", "c", "d")] == [
        None,
        1,
        2,
        3,
    ]
    story.release("c")
    taken_away(story, "a")
    assert story.state("b") is LeaseState.GRANTED
    assert place_in_line(state, story.rules, "d") == 1


def test_passing_and_its_end() -> None:
    """Small requests pass a blocked big one for five minutes; then the GPU is kept for it."""
    story = Story(A100)
    story.bound("a", "4g.20gb", BOB)
    story.ask("big", "7g.40gb", patience=None)
    story.wait(299)
    story.bound("small", "1g.5gb", BOB, 501)
    story.wait(1)
    assert story.ask("late", "1g.5gb", BOB) == [actions.Refuse("late", EndReason.NO_ROOM)]
    taken_away(story, "a")
    taken_away(story, "small", 501)
    assert story.state("big") is LeaseState.GRANTED


def test_no_standing_still_for_other_gpus() -> None:
    """Who could never use a GPU does not stop those who can, however long it has waited."""
    story = Story(A100, RTX_PRO)
    story.bound("a", "4g.96gb")
    story.ask("b", "2g.48gb", BOB, None)
    story.wait(301)
    story.granted("c", "1g.5gb", BOB)


def test_no_standing_still_for_other_instances() -> None:
    """Of existing instances only those that the blocked request could use are kept for it."""
    story = Story(A100, static={0: [("3g.20gb", 4), ("2g.10gb", 0), ("1g.5gb", 2)]})
    story.bound("a", "3g.20gb")
    story.ask("b", "3g.20gb", BOB, None)
    story.wait(301)
    story.granted("c", "1g.5gb", BOB)
    story.ask("d", "10gb+", BOB, None)
    story.settle()
    assert story.state("d") is LeaseState.GRANTED


def test_parked_room_is_used_while_the_line_stands() -> None:
    """A resize gets its own room even when the line stands still for somebody."""
    story = Story(A100)
    story.bound("a", "3g.20gb")
    story.ask("big", "7g.40gb", BOB, None)
    story.wait(301)
    assert story.ask("c", "1g.5gb") == [actions.Refuse("c", EndReason.NO_ROOM)]
    assert kinds(story.happen(ResizeRequested("a", "2g.10gb"))) == [actions.Park]
    story.granted("d", "2g.10gb", instead_of="a")


def test_smallest_that_satisfies() -> None:
    """A requirement takes the smallest profile there is room for, and then the next."""
    story = Story(A100, static={0: [("2g.10gb", 0), ("1g.10gb", 2), ("1g.5gb", 4)]})
    for name in ("a", "b"):
        story.granted(name, "10gb+")
    assert story.place("a").profile_name == "1g.10gb"
    assert story.place("b").profile_name == "2g.10gb"
    assert story.ask("c", "10gb+") == [actions.Refuse("c", EndReason.NO_ROOM)]


def test_warm_reuse() -> None:
    """The same user gets a warm instance back without a creation."""
    story = Story(A100, rules=WARM)
    place = story.granted("a", "3g.20gb")
    story.release("a")
    story.settle()
    assert (place.state, place.warm_owner) == (PlaceState.IDLE, ALICE)
    assert kinds(story.ask("b", "3g.20gb")) == [actions.ClaimInstance]
    story.settle()
    assert story.place("b") is place


def test_warm_instances_are_not_shared() -> None:
    """Between users an instance is destroyed and made afresh."""
    story = Story(A100, rules=WARM)
    story.granted("a", "7g.40gb")
    story.release("a")
    story.settle()
    assert kinds(story.ask("b", "7g.40gb", BOB)) == [actions.DestroyInstance, actions.Enqueue]
    assert kinds(story.answer()) == [actions.CreateInstance]
    story.settle()
    assert story.state("b") is LeaseState.GRANTED


def test_room_cleared_for_one_is_not_anothers() -> None:
    """While warm instances make way for a request, nobody else gets that room."""
    story = Story(A100, rules=WARM)
    story.granted("a", "7g.40gb")
    story.release("a")
    story.settle()
    story.ask("b", "3g.20gb", BOB, None)
    story.ask("c", "7g.40gb", ALICE, None)
    story.settle()
    assert story.start("b") == 4
    assert story.state("c") is LeaseState.WAITING


def test_room_kept_for_one_who_found_other_room() -> None:
    """An elder gets it in the same turn."""
    story = Story(A100, rules=WARM)
    story.granted("warm", "3g.20gb", BOB)
    story.release("warm")
    story.settle()
    story.exists(0, "2g.10gb", 0)
    asks = tuple(
        Ask(size, size, ALICE, server(ALICE), size, "", None) for size in ("1g.5gb", "3g.20gb")
    )
    story.happen(SlicesRequested(asks))
    assert "1g.5gb" in story.ledger.state.parkings
    story.settle()
    assert story.state("3g.20gb") is LeaseState.GRANTED


def test_patience_while_warm_instances_make_way() -> None:
    """A request without patience waits for them, but not for ever."""
    story = Story(A100, rules=WARM)
    story.granted("a", "7g.40gb")
    story.release("a")
    story.settle()
    story.ask("b", "7g.40gb", BOB)
    story.answer(fail=True)
    story.wait(9)
    story.answer(fail=True)
    assert story.state("b") is LeaseState.WAITING
    assert actions.Refuse("b", EndReason.NO_ROOM) in story.wait(1)
    assert not story.ledger.state.parkings


def test_warm_instance_that_cannot_be_claimed() -> None:
    """Somebody is on an instance that should be empty: it is never given to others, but goes."""
    story = Story(A100, rules=WARM)
    story.granted("a", "7g.40gb")
    story.release("a")
    story.settle()
    story.ask("b", "7g.40gb", ALICE)
    assert kinds(story.answer(fail=True)) == [actions.DestroyInstance]
    story.settle()
    assert story.state("b") is LeaseState.GRANTED


def test_static_hand_out_passes_over_busy_instances() -> None:
    """An instance with somebody on it is not given; one that turns out busy is tried later."""
    story = Story(A100, static={0: [("1g.5gb", 0), ("1g.5gb", 1)]})
    first, second = story.world.real["GPU-0"]
    first.occupants.add(77)
    story.look()
    second.occupants.add(78)
    assert kinds(story.ask("a", "1g.5gb", patience=None)) == [actions.ClaimInstance]
    assert story.answer() == []
    assert story.state("a") is LeaseState.WAITING
    second.occupants.clear()
    assert kinds(story.wait(2)) == [actions.ClaimInstance]
    story.settle()
    assert story.real("a") is second


def test_claims_without_patience() -> None:
    """Each instance is tried once; when all are busy the request is refused at once."""
    story = Story(A100, static={0: [("1g.5gb", 0), ("1g.5gb", 1)]})
    for real in story.world.real["GPU-0"]:
        real.occupants.add(77)
    story.ask("a", "1g.5gb")
    assert kinds(story.answer()) == [actions.ClaimInstance]
    assert story.answer() == [actions.Refuse("a", EndReason.NO_ROOM)]


def test_static_instances_are_never_destroyed() -> None:
    """What we did not make is handed back, for the next user."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    place = story.bound("a", "3g.20gb")
    story.dies(kernel(500))
    story.release("a")
    assert kinds(story.answer()) == [actions.ReturnInstance, actions.End]
    assert place.state is PlaceState.IDLE
    story.granted("b", "3g.20gb", BOB)


def test_outsiders_instances_are_room_taken() -> None:
    """On a dynamic GPU we plan around what somebody else made, and never touch it."""
    story = Story(A100)
    story.exists(0, "3g.20gb", 4)
    story.look()
    story.granted("a", "3g.20gb")
    assert story.start("a") == 0
    assert story.ask("b", "1g.5gb") == [actions.Refuse("b", EndReason.NO_ROOM)]


@pytest.mark.parametrize("owners", [1, 20])
def test_a_long_line_is_served_quickly(owners: int) -> None:
    """With hundreds waiting in vain, an event costs a step or two for each, no search for room."""
    story = Story(A100)
    story.granted("a", "7g.40gb")
    for count in range(300):
        story.ledger.handle(_request(f"{count}", ALICE + count % owners), story.now)
    assert _calls(lambda: story.ledger.handle(TimePassed(), story.now)) < 300 * 3


@pytest.mark.parametrize("rules", [Rules(), Rules(pools={"1g.5gb": 2})])
def test_who_asks_for_more_than_he_may_have_costs_others_little(rules: Rules) -> None:
    """Hundreds of requests of one user who has what he is allowed, beside room for others."""
    story = Story(A100, rules=rules)
    limits = Limits("two", slices=2)
    for name in ("x", "y"):
        story.granted(name, "1g.5gb", limits=limits)
    for count in range(300):
        story.ledger.handle(_request(f"{count}", ALICE, limits), story.now)
    assert _calls(lambda: story.ledger.handle(TimePassed(), story.now)) < 300 * 5
    story.granted("b", "1g.5gb", BOB)


def _request(name: str, owner: int, limits: Limits | None = None) -> SlicesRequested:
    ask = Ask(name, name, owner, server(owner), "1g.5gb", "", None, limits=limits)
    return SlicesRequested((ask,))


def _calls(work: Callable[[], object]) -> int:
    """How many Python functions are called meanwhile: a measure that no slow machine changes."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls
