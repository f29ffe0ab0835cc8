from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mig.core.events import Ask, SlicesRequested
from jupyter_mig.core.leases import LeaseState
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.queries import place_in_line
from jupyter_mig.core.rules import Rules
from tests.core.nodes import A30, A100
from tests.core.story import ALICE, BOB, Story, server
from tests.core.world import kernel

CAROL = 1002
WHOLE = "4g.24gb"
PATIENT = Rules(bind_grace=1e9)
"""Slices may be held without a kernel."""


def flood(story: Story, owner: int, count: int, size: str = "1g.5gb") -> None:
    """One owner asks for many slices at once, and waits for ever."""
    names = [f"{owner}-{number}" for number in range(count)]
    asks = tuple(Ask(name, name, owner, server(owner), size, "", None) for name in names)
    story.happen(SlicesRequested(asks))


def next_served(story: Story) -> str:
    """Somebody with a slice gives it back; who is given it."""
    state = story.ledger.state
    leaving = next(ls for ls in state.leases.values() if ls.state is LeaseState.GRANTED)
    waited = {lease.lease_id for lease in state.waiting()}
    story.release(leaving.lease_id)
    story.settle()
    (served,) = waited - {lease.lease_id for lease in state.waiting()}
    return served


def test_a_flood_delays_nobody_beyond_one_slice() -> None:
    """A thousand requests are in line when another user asks for his first; it is the next."""
    story = Story(A100)
    flood(story, ALICE, 1_000)
    story.settle()
    story.ask("b", "1g.5gb", BOB, None)
    assert place_in_line(story.ledger.state, story.rules, "b") == 1
    assert next_served(story) == "b"


def test_nor_when_it_has_waited_for_hours() -> None:
    """That a thousand requests are older than any does not put them all in front: after one of
    them it is the turn of others who have waited long.
    """
    story = Story(A100)
    story.bound("all", "7g.40gb", CAROL)
    flood(story, ALICE, 100, "7g.40gb")
    story.wait(30)
    story.ask("b", "7g.40gb", BOB, None)
    story.wait(5_000)
    story.dies(kernel(500))
    story.release("all")
    story.settle()
    assert story.state(f"{ALICE}-0") is LeaseState.GRANTED
    story.wait(50)
    assert next_served(story) == "b"


def test_least_served_first() -> None:
    """Who holds less is served before who asked earlier."""
    story = Story(A100)
    story.granted("a", "4g.20gb", ALICE)
    story.granted("b", "2g.10gb", BOB)
    story.granted("c", "1g.5gb", CAROL)
    for name, owner in (("a2", ALICE), ("b2", BOB), ("c2", CAROL)):
        story.ask(name, "1g.5gb", owner, None)
    state = story.ledger.state
    assert [place_in_line(state, story.rules, each) for each in ("c2", "b2", "a2")] == [1, 2, 3]


def test_one_owner_is_served_in_order() -> None:
    """Whatever he holds and however long he waits."""
    story = Story(A100)
    story.bound("held", "7g.40gb")
    for number in range(6):
        story.ask(f"{number}", "1g.5gb" if number % 2 else "3g.20gb", patience=None)
        story.wait(100)
    places = [place_in_line(story.ledger.state, story.rules, f"{n}") for n in range(6)]
    assert places == [1, 2, 3, 4, 5, 6]


def test_who_holds_something_does_not_wait_for_ever() -> None:
    """On a node where new users ask all the time, his turn comes after ``rules.overtake``."""
    story = Story(A30, rules=PATIENT)
    story.granted("a", "2g.12gb", ALICE)
    story.granted("other", "2g.12gb", BOB)
    story.ask("a2", "2g.12gb", ALICE, None)
    for number in range(10):
        story.ask(f"{number}", "2g.12gb", 2_000 + number, None)
        story.wait(50)
    story.release("other")
    story.settle()
    assert story.state("a2") is LeaseState.GRANTED


def test_beyond_a_quota_comes_last() -> None:
    """In the places that are told, too: nobody waits for those who must give something back."""
    story = Story(A100)
    one = Limits("r", slices=1)
    story.granted("a", "1g.5gb", limits=one)
    story.granted("rest", "4g.20gb", CAROL)
    story.granted("rest 2", "2g.10gb", CAROL)
    story.ask("a2", "3g.20gb", patience=None, limits=one)
    story.ask("c", "3g.20gb", CAROL, None)
    state = story.ledger.state
    assert [place_in_line(state, story.rules, each) for each in ("c", "a2")] == [1, 2]


@settings(deadline=None)
@given(
    asked=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 1.0, 400.0])), max_size=25),
    held_seconds=st.sampled_from([1.0, 40.0, 900.0]),
)
def test_nobody_is_passed_twice(asked: list[tuple[int, float]], held_seconds: float) -> None:
    """Where there is one slice, whoever asks how often and when: while an owner waits, each other
    has it once at the most. And everybody has it in the end.
    """
    story = Story(A30, rules=PATIENT)
    turns: list[str] = []
    began = {}
    for number, (owner, pause) in enumerate(asked):
        story.ask(f"{number}", WHOLE, owner, None)
        began[f"{number}"] = 1 if number else 0
        story.settle()
        story.now += pause
    while (name := _holding(story)) is not None:
        turns.append(name)
        story.wait(held_seconds)
        story.release(name)
        story.settle()
    assert sorted(turns, key=int) == list(began)
    owners = [asked[int(name)][0] for name in turns]
    for index, owner in enumerate(owners):
        before = [i for i in range(index) if owners[i] == owner]
        since = max(began[turns[index]], before[-1] + 1 if before else 0)
        passed = Counter(owners[since:index])
        assert all(times == 1 for times in passed.values())


def _holding(story: Story) -> str | None:
    return next(
        (
            lease.lease_id
            for lease in story.ledger.state.leases.values()
            if lease.state is LeaseState.GRANTED
        ),
        None,
    )
