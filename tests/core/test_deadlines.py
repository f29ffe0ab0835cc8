from __future__ import annotations

import pytest

from jupyter_mig.core import actions
from jupyter_mig.core.leases import EndReason, LeaseState
from jupyter_mig.core.rules import Rules
from tests.core.nodes import A100
from tests.core.story import BOB, Story, kinds
from tests.core.world import kernel

CAROL = 1002


def test_nothing_pending() -> None:
    """Bound leases have no deadline."""
    story = Story(A100)
    assert story.ledger.next_deadline() is None
    story.bound("a", "1g.5gb")
    assert story.ledger.next_deadline() is None


def test_bound_patience() -> None:
    """A bounded request is refused when its time is over, not a second before."""
    story = Story(A100)
    story.bound("a", "7g.40gb")
    story.ask("b", "1g.5gb", BOB, 20)
    assert story.ledger.next_deadline() == story.now + 20
    assert story.wait(19) == []
    assert story.wait(1) == [actions.Refuse("b", EndReason.OUT_OF_PATIENCE)]


def test_unbounded_patience() -> None:
    """A request may wait for ever; only its server's death ends it."""
    story = Story(A100)
    story.bound("a", "7g.40gb")
    story.ask("b", "1g.5gb", BOB, None)
    story.wait(1e6)
    assert story.state("b") is LeaseState.WAITING


def test_room_at_the_last_moment() -> None:
    """Who could have room in the very turn in which patience ends gets it."""
    story = Story(A100)
    story.bound("a", "1g.5gb", CAROL)
    story.ask("big", "7g.40gb", patience=200)
    story.ask("small", "7g.40gb", BOB, 200)
    story.world.real["GPU-0"].clear()
    story.now += 200
    story.happen(story.world.observed("GPU-0"))
    assert (story.state("big"), story.reason("small")) == (
        LeaseState.CREATING,
        EndReason.OUT_OF_PATIENCE,
    )


def test_giving_up_makes_room_for_the_next() -> None:
    """Who stood in the way gives up, and who waited behind is served in the same turn."""
    story = Story(A100)
    story.bound("a", "4g.20gb")
    story.ask("big", "7g.40gb", patience=310)
    story.wait(305)
    story.ask("small", "1g.5gb", BOB, 100)
    assert kinds(story.wait(5)) == [actions.Refuse, actions.CreateInstance]


def test_failed_creation_prolongs_patience() -> None:
    """A creation that failed is not the request's fault: it has ten seconds for another try."""
    story = Story(A100)
    story.ask("a", "3g.20gb")
    story.answer(fail=True)
    assert story.state("a") is LeaseState.WAITING
    assert story.wait(10) == [actions.Refuse("a", EndReason.DRIVER)]


@pytest.mark.parametrize(("seconds", "over"), [(59, False), (60, True)])
def test_granted_and_never_used(seconds: float, over: bool) -> None:
    """A slice without a kernel is taken back after a minute."""
    story = Story(A100)
    story.granted("a", "3g.20gb")
    story.wait(seconds)
    assert (story.state("a") is LeaseState.DRAINING) == over


@pytest.mark.parametrize(("seconds", "over"), [(29, False), (30, True)])
def test_rebind_grace(seconds: float, over: bool) -> None:
    """A dead kernel's slice is kept for half a minute while its server lives."""
    story = Story(A100)
    story.bound("a", "3g.20gb")
    story.dies(kernel(500))
    story.wait(seconds)
    assert (story.state("a") is LeaseState.DRAINING) == over


def test_warm_for_a_while() -> None:
    """A warm instance is destroyed when its time is over."""
    story = Story(A100, rules=Rules(warm=60))
    story.granted("a", "3g.20gb")
    story.release("a")
    story.settle()
    assert story.wait(59) == []
    assert kinds(story.wait(1)) == [actions.DestroyInstance]


def test_a_clock_that_goes_backwards() -> None:
    """Time is held still until the clock has caught up; nothing happens twice or too early."""
    story = Story(A100)
    story.granted("a", "3g.20gb")
    due = story.ledger.next_deadline()
    story.wait(-50)
    assert story.ledger.state.now == 100.0
    assert story.ledger.next_deadline() == due
    story.wait(109)
    assert story.state("a") is LeaseState.GRANTED
    story.wait(1)
    assert story.state("a") is LeaseState.DRAINING
