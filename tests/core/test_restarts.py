"""A broker that starts: what it takes over, what it finds out, and what a reboot voids."""

from __future__ import annotations

import pytest

from jupyter_mig.core import actions, events
from jupyter_mig.core.leases import EndReason, LeaseState
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import PlaceState
from tests.core.nodes import A100
from tests.core.story import ALICE, BOB, Story, kinds, server
from tests.core.world import UNKILLABLE, kernel


def states(story: Story) -> list[PlaceState]:
    """What the instances are doing."""
    return [place.state for place in story.ledger.state.instances.values()]


@pytest.mark.parametrize(
    ("done", "half", "then"),
    [
        (False, False, actions.CreateInstance),
        (True, False, actions.Grant),
        (True, True, actions.DestroyInstance),
    ],
)
def test_restart_during_a_creation(done: bool, half: bool, then: type[actions.Action]) -> None:
    """Made: granted. Not made: asked for again. Half made: destroyed first, and made elsewhere."""
    story = Story(A100)
    story.ask("a", "3g.20gb")
    story.restart(done=done, half=half)
    assert states(story) == [PlaceState.UNRESOLVED]
    assert then in kinds(story.happen(story.world.observed("GPU-0")))
    story.settle()
    assert story.state("a") is LeaseState.GRANTED


def test_restart_during_a_doomed_creation() -> None:
    """Half made, and nobody wants it: it goes, and the request with it."""
    story = Story(A100)
    story.ask("a", "3g.20gb")
    story.release("a")
    story.restart(done=True, half=True)
    story.look()
    story.settle()
    assert story.reason("a") is EndReason.CANCELLED
    assert not story.ledger.state.instances


@pytest.mark.parametrize("done", [True, False])
def test_restart_during_a_destroy(done: bool) -> None:
    """Gone: forgotten. Still there: destroyed."""
    story = Story(A100)
    story.granted("a", "3g.20gb")
    story.release("a")
    story.answer()
    story.restart(done=done)
    assert kinds(story.happen(story.world.observed("GPU-0"))) == (
        [] if done else [actions.DestroyInstance]
    )
    story.settle()
    assert not story.ledger.state.instances


def test_restart_during_a_destroy_half_done() -> None:
    """The compute instance is gone, the GPU instance is not: the rest goes too."""
    story = Story(A100)
    story.granted("a", "3g.20gb")
    story.release("a")
    story.answer()
    story.restart()
    story.world.half(story.world.real["GPU-0"][0])
    story.look()
    story.settle()
    assert not story.world.real["GPU-0"]


@pytest.mark.parametrize("gone", [True, False])
def test_restart_during_a_claim(gone: bool) -> None:
    """Claims are made again; if the instance has gone its request waits again."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    story.ask("a", "3g.20gb", patience=None)
    story.restart(done=True)
    if gone:
        story.world.real["GPU-0"].clear()
    story.look()
    story.settle()
    assert story.state("a") is (LeaseState.WAITING if gone else LeaseState.GRANTED)


def test_restart_while_draining() -> None:
    """The lock is taken and the question who is there asked again."""
    story = Story(A100)
    story.granted("a", "3g.20gb")
    story.release("a")
    assert kinds(story.restart()) == [actions.LockInstance, actions.ObserveOccupants]
    story.settle()
    assert story.state("a") is LeaseState.RELEASED


def test_restart_during_a_condemned_destroy() -> None:
    """A condemned instance whose destroy was interrupted is not forgotten."""
    story = Story(A100, rules=Rules(condemn_failures=1))
    story.granted("a", "3g.20gb")
    story.release("a")
    story.answer()
    story.answer(fail=True)
    assert states(story) == [PlaceState.CONDEMNED]
    assert kinds(story.wait(1)) == [actions.DestroyInstance]
    assert kinds(story.restart()) == [actions.DestroyInstance]
    story.look()
    story.settle()
    assert not story.ledger.state.instances


def test_restart_takes_locks_again() -> None:
    """Locks die with a broker: those on static slices that leases hold are taken again."""
    story = Story(A100, static={0: [("3g.20gb", 0), ("3g.20gb", 4)]})
    story.bound("a", "3g.20gb")
    assert sorted(map(str, kinds(story.restart()))) == sorted(
        map(str, [actions.LockInstance, actions.ReturnInstance])
    ), "and one that was perhaps being closed is"


@pytest.mark.parametrize("bound", [True, False])
def test_what_somebody_else_has_taken_is_lost(bound: bool) -> None:
    """The lease ends, our lock goes, and the instance is as any that somebody is on."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    (story.bound if bound else story.granted)("a", "3g.20gb")
    (place,) = story.ledger.state.instances.values()
    story.restart()
    todo = story.happen(events.InstanceTaken(place.instance_id))
    assert kinds(todo) == [actions.ReturnInstance, actions.End]
    assert story.state("a") is LeaseState.RELEASED
    assert story.happen(events.InstanceTaken(place.instance_id)) == []
    (place,) = story.ledger.state.instances.values()
    assert (place.state, place.busy) == (PlaceState.IDLE, True)
    story.ask("b", "3g.20gb", patience=None)
    assert story.state("b") is LeaseState.WAITING
    story.look()
    story.settle()
    assert story.state("b") is LeaseState.GRANTED


def test_what_was_made_and_taken_is_not_ours_to_destroy() -> None:
    """On a GPU where we create it stays, as one of somebody else's."""
    story = Story(A100)
    place = story.granted("a", "3g.20gb")
    story.restart()
    story.look()
    story.happen(events.InstanceTaken(place.instance_id))
    story.look()
    story.settle()
    assert states(story) == [PlaceState.OUTSIDE]
    assert len(story.world.real["GPU-0"]) == 1


def test_time_without_a_broker_does_not_count() -> None:
    """Grace and patience go on where the dead broker left them."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    story.granted("b", "1g.5gb")
    story.granted("big", "3g.20gb", BOB)
    story.ask("c", "7g.40gb", patience=35)
    story.dies(kernel(500))
    story.now += 1_000
    story.restart()
    story.look()
    story.wait(29)
    names = ("a", "b", "c")
    alive = [LeaseState.ORPHANED, LeaseState.GRANTED, LeaseState.WAITING]
    assert [story.state(name) for name in names] == alive
    story.wait(2)
    assert story.state("a") is LeaseState.DRAINING


def test_a_broker_killed_again_and_again_keeps_no_lease_for_ever() -> None:
    """A kernel that died is given up after its grace, although each broker lived for seconds."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    story.dies(kernel(500))
    for _ in range(12):
        story.wait(3)
        story.restart()
        story.look()
    assert story.state("a") is not LeaseState.ORPHANED


def test_nothing_is_started_before_a_look() -> None:
    """After a restart nobody is served until the GPU was observed."""
    story = Story(A100)
    story.restart()
    assert story.ask("a", "1g.5gb", patience=None) == [actions.Enqueue("a")]
    assert kinds(story.happen(story.world.observed("GPU-0"))) == [actions.CreateInstance]


def fails(story: Story, index: int = 0) -> list[actions.AnyAction]:
    """A GPU cannot be observed."""
    return story.happen(story.world.failed(f"GPU-{index}"))


def stranded(story: Story, patience: float | None, *, done: bool) -> None:
    """A lease whose instance was being made when the broker was killed; the GPU does not answer."""
    story.ask("a", "3g.20gb", patience=patience)
    story.restart(done=done)
    fails(story)


@pytest.mark.parametrize("done", [True, False])
def test_nobody_waits_for_a_gpu_that_fails_after_a_restart(done: bool) -> None:
    """Without room elsewhere the request ends, with the GPU's error for its reason; if the instance
    was made it goes once the GPU answers.
    """
    story = Story(A100)
    stranded(story, 0, done=done)
    assert story.state("a") is LeaseState.WAITING
    story.wait(story.rules.failed_patience)
    assert (story.reason("a"), story.lease("a").error) == (EndReason.DRIVER, "GPU is lost")
    assert len(story.world.real["GPU-0"]) == done
    assert [place.ours for place in story.ledger.state.instances.values()] == [True]
    story.look()
    story.settle()
    assert (story.ledger.state.instances, story.world.real["GPU-0"]) == ({}, [])


def test_another_gpu_serves_who_waits_for_one_that_fails() -> None:
    """As soon as it has been seen."""
    story = Story(A100, A100)
    stranded(story, 0, done=True)
    story.happen(story.world.observed("GPU-1"))
    assert story.place("a").spec.gpu_uuid == "GPU-1"
    story.settle()
    assert story.state("a") is LeaseState.GRANTED


def test_a_gpu_that_answers_in_time_serves_who_waited_for_it() -> None:
    """The request is still in line; what was made meanwhile makes way, and it has a slice."""
    story = Story(A100)
    stranded(story, 0, done=True)
    story.wait(1)
    story.look()
    story.settle()
    assert story.state("a") is LeaseState.GRANTED
    assert len(story.world.real["GPU-0"]) == 1


def test_a_request_taken_back_ends_on_a_gpu_that_fails_after_a_restart() -> None:
    """A doomed lease has nothing to wait for either."""
    story = Story(A100)
    story.ask("a", "3g.20gb")
    story.release("a")
    story.restart(done=True)
    fails(story)
    assert story.reason("a") is EndReason.CANCELLED
    story.look()
    story.settle()
    assert story.world.real["GPU-0"] == []


def test_a_claim_on_a_gpu_that_fails_after_a_restart_is_given_up() -> None:
    """The administrator's instance stays, and is on offer when the GPU answers."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    stranded(story, None, done=True)
    assert story.state("a") is LeaseState.WAITING
    story.wait(1)
    story.look()
    story.settle()
    assert story.state("a") is LeaseState.GRANTED
    assert len(story.world.real["GPU-0"]) == 1


def test_reboot() -> None:
    """Another boot: every lease is over, nothing is remembered of the GPUs, the clock begins."""
    story = Story(A100)
    story.ask("creating", "1g.5gb")
    story.bound("bound", "1g.5gb")
    story.ask("waiting", "7g.40gb", patience=None)
    story.now = 3.0
    story.world.reboot()
    story.restart(boot_id="boot-2")
    names = ("creating", "bound", "waiting")
    assert {story.reason(name) for name in names} == {EndReason.REBOOTED}
    state = story.ledger.state
    assert (state.leases, state.instances, state.gpus, state.parkings) == ({}, {}, {}, {})
    assert state.now == 3.0
    story.look()
    story.granted("b", "1g.5gb")
    story.wait(60)
    assert story.state("b") is LeaseState.DRAINING


@pytest.mark.parametrize("what", ["creating", "doomed", "orphaned", "draining"])
def test_reboot_in_every_state(what: str) -> None:
    """No lease survives a reboot, wherever it was."""
    story = Story(A100)
    story.ask("a", "1g.5gb")
    if what == "doomed":
        story.release("a")
    elif what != "creating":
        story.settle()
        story.bind("a")
        story.occupy("a", UNKILLABLE)
        story.dies(kernel(500))
        if what == "draining":
            story.dies(server(ALICE))
    assert story.state("a").value == what
    story.world.reboot()
    story.restart(boot_id="boot-2")
    assert not story.ledger.state.leases
