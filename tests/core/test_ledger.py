from __future__ import annotations

import msgspec
import pytest

from jupyter_mig.core import events
from jupyter_mig.core.choices import Choice
from jupyter_mig.core.geometry import Spec
from jupyter_mig.core.leases import Holder, LeaseState
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.rules import Rules
from tests.core.another_rule import another_rule
from tests.core.nodes import A100
from tests.core.story import ALICE, BOB, Story, server
from tests.core.world import kernel


def busy() -> Story:
    """A story with a bit of everything."""
    story = Story(A100, rules=Rules(warm=60, names={"small": "1g.5gb"}))
    story.bound("a", "small")
    story.granted("b", "2g.10gb", BOB)
    story.release("b")
    story.settle()
    story.happen(events.ResizeRequested("a", "3g.20gb"))
    story.ask("c", "7g.40gb", BOB, None)
    story.ask("d", "9g.99gb", BOB, None)
    return story


def test_snapshot_and_replay() -> None:
    """A snapshot loads equal, replay gives the same state, and both go on alike."""
    story = busy()
    snapshot = story.ledger.snapshot()
    restored = Ledger.restore(snapshot, story.rules)
    replayed = Ledger.replay(story.log, story.rules)
    assert restored.snapshot() == snapshot == replayed.snapshot()
    said = [
        ledger.handle(events.HolderLeft(kernel(500)), 500.0)
        for ledger in (story.ledger, restored, replayed)
    ]
    assert said[0] == said[1] == said[2] != []


def test_a_replay_takes_places_as_they_were_chosen() -> None:
    """Under another rule, without what was chosen, the same events put things elsewhere; with it,
    they lead to the same state: instances, room kept, and what makes way.
    """
    story = busy()
    story.release("c")
    asks = tuple(
        events.Ask(name, name, BOB, server(BOB), size, patience_seconds=None)
        for name, size in {"e": "1g.5gb", "f": "1g.10gb"}.items()
    )
    story.happen(events.SlicesRequested(asks))
    with another_rule():
        replayed = Ledger.replay(story.log, story.rules)
        elsewhere = Ledger.replay([(*record[:2], ()) for record in story.log], story.rules)
    assert replayed.snapshot() == story.ledger.snapshot()
    assert elsewhere.snapshot() != story.ledger.snapshot()


def test_a_choice_that_is_no_longer_possible_is_made_anew() -> None:
    """Rather than two instances in one place."""
    story = Story(A100)
    place = story.bound("a", "7g.40gb")
    ask = events.Ask("b", "b", BOB, server(BOB), "1g.5gb", patience_seconds=None)
    taken = Choice("b", Spec("GPU-0", 19, 0))
    story.ledger.handle(events.SlicesRequested((ask,)), story.now, [taken])
    story.ledger.check()
    assert story.state("b") is LeaseState.WAITING
    assert story.ledger.state.instances == {place.instance_id: place}


@pytest.mark.parametrize("garbage", [b"", b"[]", b'{"now":"noon"}', b'{"leases":{"a":1}}'])
def test_what_is_no_snapshot_is_refused(garbage: bytes) -> None:
    """A damaged snapshot is not half understood."""
    with pytest.raises(msgspec.DecodeError):
        Ledger.restore(garbage)


def test_holders() -> None:
    """Everybody is watched on whom a lease hangs, and nobody else."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    story.ask("b", "7g.40gb", BOB, None)
    assert story.ledger.holders() == {server(ALICE), server(BOB), kernel(500)}
    story.dies(server(ALICE))
    story.release("b")
    assert story.ledger.holders() == {kernel(500)}


def test_a_stranger_leaves() -> None:
    """The end of a process that nothing hangs on changes nothing."""
    assert busy().dies(Holder("stranger")) == []


def test_the_ended_are_remembered_in_bounded_number() -> None:
    """The last few leases that are over can still be asked about."""
    story = Story(A100, rules=Rules(remembered=3))
    for name in "abcde":
        story.ask(name, "9g.99gb")
    assert list(story.ledger.state.ended) == ["c", "d", "e"]


def test_everybody_leaves() -> None:
    """With all holders gone every lease ends and nothing of ours is left."""
    story = busy()
    for holder in story.ledger.holders():
        story.dies(holder)
    story.settle()
    story.wait(121)
    story.settle()
    state = story.ledger.state
    assert (state.leases, state.instances, state.parkings) == ({}, {}, {})
    assert {lease.state for lease in state.ended.values()} == {LeaseState.RELEASED}
    assert story.ledger.next_deadline() is None
