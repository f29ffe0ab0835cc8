from __future__ import annotations

import pytest

from jupyter_mig.core import actions, events
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.pools import NOBODY
from jupyter_mig.core.queries import sizes_offered
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import Place, PlaceState
from tests.core.nodes import A100
from tests.core.story import ALICE, BOB, Story, kinds
from tests.core.world import kernel

TWO = Rules(pools={"1g.5gb": 2})


def pooled(story: Story) -> list[Place]:
    """What is ready for anybody."""
    places = story.ledger.state.instances.values()
    return [place for place in places if place.pooled and place.state is PlaceState.IDLE]


@pytest.fixture
def story() -> Story:
    """A GPU with two instances in a pool."""
    one = Story(A100, rules=TWO)
    one.settle()
    assert len(pooled(one)) == 2
    return one


def test_instances_are_made_before_anybody_asks() -> None:
    """For nobody, so that nobody can open their device nodes."""
    story = Story(A100, rules=TWO)
    made = [call for call in story.world.calls["GPU-0"] if isinstance(call, actions.CreateInstance)]
    assert [call.owner for call in made] == [NOBODY, NOBODY]


def test_whoever_asks_first_is_given_one(story: Story) -> None:
    """Without a creation, whoever it is; and another is made for the next."""
    for name, owner in (("a", ALICE), ("b", BOB)):
        said = story.ask(name, "1g.5gb", owner)
        assert kinds(said) == [actions.ClaimInstance, actions.CreateInstance]
        story.settle()
    assert len(pooled(story)) == 2


def test_a_used_slice_does_not_come_back(story: Story) -> None:
    """It is destroyed; the pool has fresh ones."""
    used = story.bound("a", "1g.5gb")
    story.settle()
    story.dies(kernel(500))
    story.release("a")
    story.settle()
    assert used.instance_id not in story.ledger.state.instances
    assert len(pooled(story)) == 2


def test_a_pool_is_in_nobodys_way(story: Story) -> None:
    """Its room counts as free, and is cleared for whoever needs it; it is filled again after."""
    free = {offer.name: offer.free for offer in sizes_offered(story.ledger.state, ALICE)}
    assert free["7g.40gb"] == 1
    story.bound("a", "7g.40gb")
    assert pooled(story) == []
    story.dies(kernel(500))
    story.release("a")
    story.settle()
    assert len(pooled(story)) == 2


def test_it_is_not_filled_while_somebody_waits() -> None:
    """Room that comes free is for those who wait."""
    story = Story(A100, rules=TWO)
    story.bound("a", "3g.20gb")
    story.bound("b", "3g.20gb", BOB, 501)
    story.ask("c", "7g.40gb", patience=None)
    story.dies(kernel(500))
    story.release("a")
    story.settle()
    assert pooled(story) == []


def test_failures_are_tried_again_later(story: Story) -> None:
    """Later and later, and never in a circle without time."""
    story.granted("a", "1g.5gb")
    story.granted("b", "1g.5gb")
    while pooled(story):
        story.granted(f"x{len(story.log)}", "1g.5gb")
    story.release("a")
    story.settle()
    story.release("b")
    for wait in (0.2, 0.4):
        while not any(
            isinstance(call, actions.CreateInstance) for call in story.world.calls["GPU-0"]
        ):
            story.answer()
        story.answer(fail=True)
        story.settle()
        assert story.ledger.state.pools_at == pytest.approx(story.now + wait)
        story.wait(wait)
    story.settle()
    assert pooled(story)
    assert story.ledger.state.pool_failures == 0


def test_a_broker_that_comes_back_knows_its_pool() -> None:
    """What was being made when it was killed goes in, half-made ones go."""
    story = Story(A100, rules=TWO)
    story.restart(done=True)
    story.look()
    story.settle()
    assert len(pooled(story)) == 2
    assert len(story.world.real["GPU-0"]) == 2


def test_a_smaller_pool_gives_back_what_is_too_much(story: Story) -> None:
    """The configuration was changed."""
    story.ledger = Ledger(Rules(pools={"1g.5gb": 1}), story.ledger.state)
    story.happen(events.TimePassed())
    story.settle()
    assert len(pooled(story)) == 1


def test_a_drained_gpu_has_no_pool(story: Story) -> None:
    """Nothing is kept ready where nothing is to be started."""
    story.happen(events.GpuDrained("GPU-0", "reset"))
    story.settle()
    assert pooled(story) == []
    assert story.world.real["GPU-0"] == []
