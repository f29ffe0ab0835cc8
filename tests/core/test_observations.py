from __future__ import annotations

import msgspec
import pytest

from jupyter_mig.core import actions, events
from jupyter_mig.core.geometry import Geometry, Identity, Instance, Spec
from jupyter_mig.core.leases import EndReason, LeaseState
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import PlaceState
from tests.core.nodes import A100, gpu
from tests.core.story import BOB, Story, kinds
from tests.core.world import kernel


def states(story: Story) -> list[PlaceState]:
    """What the instances are doing."""
    return [place.state for place in story.ledger.state.instances.values()]


def test_a_failed_observation_ends_nothing() -> None:
    """The GPU does not answer: leases stay, nothing new is started, and it is looked at again."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    story.happen(story.world.failed("GPU-0"))
    assert story.state("a") is LeaseState.BOUND
    assert story.ask("b", "1g.5gb", patience=None) == [actions.Enqueue("b")]
    assert kinds(story.wait(1)) == [actions.ObserveGpu]
    assert kinds(story.answer()) == [actions.CreateInstance]


def test_a_gpu_never_seen_fails() -> None:
    """A failure of a GPU that we never saw says nothing."""
    story = Story(A100)
    assert story.happen(story.world.failed("GPU-7")) == []


@pytest.mark.parametrize("static", [None, {0: [("3g.20gb", 0)]}])
def test_lost(static: dict[int, list[tuple[str, int]]] | None) -> None:
    """An administrator destroyed the slice: a full observation says so, and it is over."""
    story = Story(A100, static=static)
    story.bound("a", "3g.20gb")
    story.world.real["GPU-0"].clear()
    story.look()
    assert (story.state("a"), story.reason("a")) == (LeaseState.RELEASED, EndReason.LOST)
    assert not story.ledger.state.instances
    assert not story.world.locked


@pytest.mark.parametrize("how", ["granted", "bound", "orphaned", "draining"])
def test_lost_in_every_state(how: str) -> None:
    """A lease that has its slice ends with it, whoever lives."""
    story = Story(A100)
    story.granted("a", "3g.20gb")
    if how != "granted":
        story.bind("a")
    if how in ("orphaned", "draining"):
        story.dies(kernel(500))
    if how == "draining":
        story.release("a")
    story.world.real["GPU-0"].clear()
    story.look()
    assert story.state("a") is LeaseState.RELEASED


def test_mig_switched_off() -> None:
    """With MIG mode off nothing is there: leases are lost, and nobody new is served."""
    story = Story(A100)
    story.bound("a", "3g.20gb")
    story.world.gpus["GPU-0"] = gpu(0, A100, mig_enabled=False)
    story.world.real["GPU-0"].clear()
    story.look()
    assert story.reason("a") is EndReason.LOST
    assert story.ledger.state.gpus["GPU-0"].problem == "MIG mode is off"
    assert kinds(story.ask("b", "3g.20gb")) == [actions.Refuse]


def test_lost_compute_instance() -> None:
    """Without its compute instance a slice is no use: the lease is lost, the rest of it goes."""
    story = Story(A100)
    story.bound("a", "3g.20gb")
    story.world.half(story.real("a"))
    said = story.happen(story.world.observed("GPU-0"))
    assert kinds(said) == [actions.DestroyInstance, actions.End]
    story.settle()
    assert not story.ledger.state.instances


def test_lost_compute_instance_of_a_warm_one() -> None:
    """A warm instance without its compute instance is not kept."""
    story = Story(A100, rules=Rules(warm=60))
    story.granted("a", "3g.20gb")
    story.release("a")
    story.settle()
    story.world.half(story.world.real["GPU-0"][0])
    assert kinds(story.happen(story.world.observed("GPU-0"))) == [actions.DestroyInstance]


def test_half_made_by_an_outsider() -> None:
    """A static GPU instance is on offer from when it has its compute instance, until it has not."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    (real,) = story.world.real["GPU-0"]
    whole = real.identity
    story.world.half(real)
    story.look()
    assert states(story) == [PlaceState.OUTSIDE]
    real.identity = whole
    story.look()
    assert states(story) == [PlaceState.IDLE]
    story.bound("a", "3g.20gb")
    story.world.half(real)
    story.look()
    assert story.reason("a") is EndReason.LOST
    assert states(story) == [PlaceState.OUTSIDE]


def test_another_instance_in_the_same_place() -> None:
    """The same profile at the same start under the same id, but another MIG device: not ours."""
    story = Story(A100)
    story.bound("a", "3g.20gb")
    story.real("a").identity = Identity(0, 0, "MIG-other")
    story.look()
    assert story.reason("a") is EndReason.LOST
    assert states(story) == [PlaceState.OUTSIDE]


def test_log_lost() -> None:
    """Unknown instances are nobody's to hand out when the log that knew them is gone."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    seen = story.world.observed("GPU-0")
    story.ledger.state.remove_places()
    story.happen(msgspec.structs.replace(seen, offers_unknown=False))
    assert states(story) == [PlaceState.OUTSIDE]


def test_unprivileged_reader() -> None:
    """Without placements existing instances are handed out all the same, told apart by id."""
    story = Story(A100, static={0: [("3g.20gb", 0), ("3g.20gb", 4)]})
    story.world.blind.add("GPU-0")
    story.ledger.state.remove_places()
    story.look()
    story.granted("a", "3g.20gb")
    story.granted("b", "3g.20gb", BOB)
    story.look()
    assert (story.state("a"), story.state("b")) == (LeaseState.GRANTED, LeaseState.GRANTED)
    assert story.start("a") is None


def test_a_stranger_takes_an_id_under_a_claim_unseen() -> None:
    """Where no placement tells them apart, the stranger in its stead is not offered beside it."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    story.world.blind.add("GPU-0")
    story.ledger.state.remove_places()
    story.look()
    story.ask("a", "3g.20gb", patience=None)
    story.world.real["GPU-0"][0].identity = Identity(0, 0, "MIG-other")
    story.happen(story.world.observed("GPU-0"))
    assert states(story) == [PlaceState.CLAIMING]


def test_profiles_the_driver_does_not_explain() -> None:
    """Instances of a profile missing in the GPU's list are handed out; nothing trips over them."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    part = Geometry(tuple(p for p in A100.profiles if p.name != "3g.20gb"))
    known = story.world.observed("GPU-0").instances
    other = Instance(Spec("GPU-0", 19, 4), Identity(9, 0, "MIG-9"), "1g.5gb", 1)
    story.happen(events.GpuObserved(gpu(0, part), creates=False, instances=known))
    story.ask("a", "3g.20gb", patience=None)
    story.happen(events.GpuObserved(gpu(0, part), creates=False, instances=(*known, other)))
    assert states(story) == [PlaceState.CLAIMING, PlaceState.IDLE]


def test_an_outsider_in_the_way_of_a_creation() -> None:
    """An instance seen where ours is being made is counted once; the driver's answer settles it."""
    story = Story(A100)
    story.ask("a", "3g.20gb", patience=None)
    story.exists(0, "2g.10gb", 4)
    story.happen(story.world.observed("GPU-0"))
    assert states(story) == [PlaceState.CREATING]
    story.answer()
    story.wait(1)
    story.settle()
    assert story.start("a") == 0
    assert states(story) == [PlaceState.OUTSIDE, PlaceState.HELD]


def test_a_destroy_put_off_is_seen_done() -> None:
    """What would not go was destroyed by hand meanwhile: no further attempt is made."""
    story = Story(A100)
    story.granted("a", "3g.20gb")
    story.release("a")
    story.answer()
    story.answer(fail=True)
    story.world.real["GPU-0"].clear()
    story.look()
    assert not story.ledger.state.instances
    assert story.wait(60) == []


def test_a_gpu_that_changes_hands() -> None:
    """A GPU that was handed out statically and is dynamic now: what exists stays what it was."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    story.bound("a", "3g.20gb")
    story.world.creates["GPU-0"] = True
    story.look()
    assert story.state("a") is LeaseState.BOUND
    story.granted("b", "3g.20gb", BOB)
    assert story.start("b") == 4
