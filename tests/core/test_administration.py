"""An administrator steps in: leases revoked, GPUs drained, orphans adopted and destroyed."""

from __future__ import annotations

import pytest

from jupyter_mig.core import actions, events
from jupyter_mig.core.administration import orphans
from jupyter_mig.core.leases import EndReason, LeaseState
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import Place, PlaceState
from tests.core.nodes import A100
from tests.core.story import ALICE, BOB, Story


def test_a_revoked_lease_drains_and_ends_with_the_reason() -> None:
    """As if its owner had released it, but for what he is told."""
    story = Story(A100)
    story.bound("a", "7g.40gb")
    story.happen(events.LeaseRevoked("a", "maintenance"))
    assert story.state("a") is LeaseState.DRAINING
    story.settle()  # its kernel was asked to leave, and did
    story.wait(10)
    story.settle()
    lease = story.ledger.state.ended["a"]
    assert (lease.reason, lease.error) == (EndReason.REVOKED, "maintenance")


def test_a_revoked_request_is_refused() -> None:
    """Nobody has to wait until it has been granted."""
    story = Story(A100)
    story.granted("a", "7g.40gb")
    story.ask("b", "1g.5gb", BOB, None)
    said = story.happen(events.LeaseRevoked("b", "exam"))
    assert said == [actions.Refuse("b", EndReason.REVOKED)]


def test_revoked_while_it_is_made() -> None:
    """The driver finishes; the instance goes, and the reason stays."""
    story = Story(A100)
    story.ask("a", "1g.5gb")
    story.happen(events.LeaseRevoked("a", "exam"))
    story.settle()
    lease = story.ledger.state.ended["a"]
    assert (lease.reason, lease.error) == (EndReason.REVOKED, "exam")
    assert not story.ledger.state.instances


def test_one_that_ends_keeps_its_own_reason() -> None:
    """Its owner was faster."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    story.happen(events.LeaseReleased("a"))
    story.happen(events.LeaseRevoked("a", "late"))
    assert story.ledger.state.leases["a"].reason is EndReason.RELEASED


def test_on_a_drained_gpu_nothing_starts_and_nothing_ends() -> None:
    """Whoever has a slice there keeps it; others wait, or go to another GPU."""
    story = Story(A100, A100)
    story.granted("a", "3g.20gb")
    drained = story.place("a").spec.gpu_uuid
    story.happen(events.GpuDrained(drained, "upgrade"))
    assert story.granted("b", "3g.20gb", BOB).spec.gpu_uuid != drained
    story.ask("c", "7g.40gb", BOB, None)
    assert (story.state("a"), story.state("c")) == (LeaseState.GRANTED, LeaseState.WAITING)


def test_a_drain_outlasts_looks_brokers_and_boots_until_it_is_taken_back() -> None:
    """It ends when it is taken back, and then who waited is served."""
    story = Story(A100)
    story.happen(events.GpuDrained("GPU-0", "upgrade"))
    story.look()
    story.happen(events.BrokerStarted("boot-2"))
    story.look()
    story.ask("a", "1g.5gb", ALICE, None)
    assert story.state("a") is LeaseState.WAITING
    assert story.ledger.state.gpus["GPU-0"].problem == "an administrator drains it: upgrade"
    story.happen(events.GpuReopened("GPU-0"))
    story.settle()
    assert story.state("a") is LeaseState.GRANTED


def test_nothing_is_kept_warm_on_a_drained_gpu() -> None:
    """Neither what was warm already, nor what is given back later."""
    story = Story(A100, rules=Rules(warm=600.0))
    story.granted("a", "1g.5gb")
    story.granted("b", "1g.5gb")
    story.happen(events.LeaseReleased("a"))
    story.settle()
    assert {place.state for place in story.ledger.state.instances.values()} == {
        PlaceState.IDLE,
        PlaceState.HELD,
    }
    story.happen(events.GpuDrained("GPU-0", ""))
    story.happen(events.LeaseReleased("b"))
    story.settle()
    assert not story.ledger.state.instances


def _orphan(story: Story) -> Place:
    story.exists(0, "7g.40gb", 0)
    story.look()
    (place,) = orphans(story.ledger.state)
    assert place.state is PlaceState.OUTSIDE
    return place


def test_an_adopted_orphan_is_handed_out_and_stays() -> None:
    """As it is; it is not destroyed when it is given back, and another look changes nothing."""
    story = Story(A100)
    place = _orphan(story)
    story.happen(events.OrphanAdopted(place.instance_id))
    story.settle()
    assert story.granted("a", "7g.40gb").instance_id == place.instance_id
    story.happen(events.LeaseReleased("a"))
    story.settle()
    story.look()
    assert story.ledger.state.instances[place.instance_id].state is PlaceState.IDLE


def test_a_condemned_orphan_goes_and_leaves_room() -> None:
    """Who waited for it gets the room."""
    story = Story(A100)
    place = _orphan(story)
    story.ask("a", "7g.40gb", ALICE, None)
    story.happen(events.OrphanCondemned(place.instance_id))
    story.settle()
    assert story.state("a") is LeaseState.GRANTED
    assert place.instance_id not in story.ledger.state.instances


@pytest.mark.parametrize("told", [events.OrphanAdopted, events.OrphanCondemned])
def test_what_a_lease_has_is_no_orphan(
    told: type[events.OrphanAdopted | events.OrphanCondemned],
) -> None:
    """Nor is what is not there."""
    story = Story(A100)
    place = story.granted("a", "1g.5gb")
    assert orphans(story.ledger.state) == []
    assert story.happen(told(place.instance_id)) == []
    assert story.happen(told("i99")) == []
    assert story.state("a") is LeaseState.GRANTED
