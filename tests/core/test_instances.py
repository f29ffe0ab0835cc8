from __future__ import annotations

import pytest

from jupyter_mig.core import actions, events
from jupyter_mig.core.actions import Signal
from jupyter_mig.core.geometry import Identity
from jupyter_mig.core.leases import EndReason, LeaseState
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import PlaceState
from tests.core.nodes import A30, A100
from tests.core.story import ALICE, BOB, Story, kinds, server
from tests.core.world import UNKILLABLE, kernel


def draining(*pids: int, computes: bool = True) -> Story:
    """A story whose lease ``a`` is draining, with these processes on its slice."""
    story = Story(A100)
    story.bound("a", "3g.20gb")
    if computes:
        story.occupy("a", *pids)
    story.dies(kernel(500))
    story.release("a")
    assert story.state("a") is LeaseState.DRAINING
    return story


def state(story: Story) -> PlaceState:
    """What the only instance is doing."""
    (place,) = story.ledger.state.instances.values()
    return place.state


def signals(said: list[actions.AnyAction]) -> list[tuple[Signal, tuple[int, ...]]]:
    """What is sent to whom."""
    return [(it.signal, it.pids) for it in said if isinstance(it, actions.SignalOccupants)]


def test_empty_slice_is_destroyed() -> None:
    """Observed empty: the lease is over and the instance goes; its room comes when it is gone."""
    story = draining()
    assert kinds(story.answer()) == [actions.DestroyInstance, actions.End]
    assert story.state("a") is LeaseState.RELEASED
    assert story.ask("b", "7g.40gb") == [actions.Refuse("b", EndReason.NO_ROOM)]
    story.answer()
    assert not story.ledger.state.instances


def test_term_then_kill_then_empty() -> None:
    """Processes left behind are asked to leave, and after three seconds made to."""
    story = draining(7)
    assert signals(story.answer()) == [(Signal.TERM, (7,))]
    assert kinds(story.wait(0.3)) == [actions.ObserveOccupants]
    assert signals(story.answer()) == []
    story.wait(3)
    assert signals(story.answer()) == [(Signal.KILL, (7,))]
    story.wait(3)
    story.settle()
    assert story.state("a") is LeaseState.RELEASED


def test_signals_are_for_the_owners_new_processes() -> None:
    """A signal names the owner and the time of the grant: nobody else, nothing older is hit."""
    story = draining(7)
    (sent,) = (it for it in story.answer() if isinstance(it, actions.SignalOccupants))
    assert (sent.owner, sent.started_after) == (ALICE, story.lease("a").granted_at)


def test_newcomers_are_killed_too() -> None:
    """A process that turns up after the KILL gets one of its own."""
    story = draining(7)
    story.settle()
    story.wait(4)
    story.settle()
    story.occupy("a", 8)
    story.wait(4)
    assert signals(story.answer()) == [(Signal.KILL, (8,))]


def test_term_comes_first_however_late() -> None:
    """If the driver could not say for a minute who is there, they are still asked politely."""
    story = draining(7)
    for _ in range(6):
        story.answer(fail=True)
        story.wait(30)
    assert signals(story.answer()) == [(Signal.TERM, (7,))]
    assert story.state("a") is LeaseState.DRAINING


def test_unknown_frees_nothing() -> None:
    """The driver cannot say who is on the slice: it stays taken, and is asked about again."""
    story = draining(computes=False)
    assert story.answer(fail=True) == []
    assert story.state("a") is LeaseState.DRAINING
    assert kinds(story.wait(30)) == [actions.ObserveOccupants]


def test_condemned() -> None:
    """What does not leave within half a minute of signals condemns the instance: the lease is
    over, the room is not free, suspects are named, and the driver is tried again.
    """
    story = draining(UNKILLABLE)
    for _ in range(12):
        story.settle()
        story.wait(3)
    story.settle()
    assert story.state("a") is LeaseState.RELEASED
    (place,) = story.ledger.state.instances.values()
    assert (place.state, place.suspects) == (PlaceState.CONDEMNED, (UNKILLABLE,))
    story.world.real["GPU-0"][0].occupants.clear()
    story.wait(31)
    story.settle()
    assert not story.ledger.state.instances


def test_condemned_static_instance_comes_back() -> None:
    """One that we may not destroy is watched until it is empty, then handed back."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    story.bound("a", "3g.20gb")
    story.occupy("a", UNKILLABLE)
    story.dies(kernel(500))
    story.release("a")
    for _ in range(14):
        story.settle()
        story.wait(3)
    assert state(story) is PlaceState.CONDEMNED
    story.wait(31)
    story.answer(fail=True)
    story.wait(31)
    assert story.answer() == []
    story.wait(31)
    story.world.real["GPU-0"][0].occupants.clear()
    assert kinds(story.answer()) == [actions.ReturnInstance]
    assert state(story) is PlaceState.IDLE


def test_a_living_kernel_occupies_its_slice() -> None:
    """A lease released under a kernel that has not touched the GPU yet: the slice is not free as
    long as the kernel could begin to, so the kernel is ended.
    """
    story = Story(A100)
    story.bound("a", "3g.20gb", pid=700)
    story.release("a")
    assert signals(story.answer()) == [(Signal.TERM, (700,))]
    assert story.dies(kernel(700)) == [
        actions.ObserveOccupants("i2", "GPU-0", story.real("a").identity)
    ]
    story.settle()
    assert story.state("a") is LeaseState.RELEASED


def test_a_kernel_known_by_heartbeats_is_waited_for() -> None:
    """Where no pid is known there is nobody to signal, but the slice is not free either."""
    story = Story(A100)
    story.granted("a", "3g.20gb")
    story.happen(events.LeaseBound("a", kernel(1)))
    story.release("a")
    assert signals(story.answer()) == [(Signal.TERM, ())]
    for _ in range(20):
        story.wait(30)
        story.settle()
    assert story.state("a") is LeaseState.DRAINING
    story.dies(kernel(1))
    story.settle()
    assert story.state("a") is LeaseState.RELEASED


def test_destroy_fails_and_is_retried() -> None:
    """In Use on an idle instance happens: the driver is asked again, later each time."""
    story = draining()
    story.answer()
    for seconds in (0.2, 0.4, 0.8, 1.6):
        assert story.answer(fail=True) == []
        assert story.wait(seconds / 2) == []
        assert kinds(story.wait(seconds / 2 + 0.01)) == [actions.DestroyInstance]
    story.answer(fail=True)
    (place,) = story.ledger.state.instances.values()
    assert place.state is PlaceState.CONDEMNED
    story.wait(30)
    assert story.answer(fail=True) == []
    assert (place.state, place.failures) == (PlaceState.CONDEMNED, 6)


def test_create_fails_and_another_gpu_is_taken() -> None:
    """A failed creation means that our picture was wrong: look again, try elsewhere at once."""
    story = Story(A30, A30)
    story.ask("a", "4g.24gb")
    said = story.answer(fail=True)
    assert kinds(said) == [actions.ObserveGpu, actions.CreateInstance]
    story.settle()
    assert story.place("a").spec.gpu_uuid == "GPU-1"
    assert story.lease("a").error == ""


def test_what_could_not_be_undone_is_ours_and_goes() -> None:
    """Half an instance that is left behind is no outsider's: it is destroyed, again and again if
    need be, and meanwhile nothing is put in its place.
    """
    story = Story(A100, rules=Rules(condemn_failures=2))
    story.world.clumsy = True
    story.ask("a", "3g.20gb", patience=None)
    story.answer(fail=True)
    story.settle()
    assert (story.state("a"), story.start("a")) == (LeaseState.GRANTED, 0)
    assert len(story.world.real["GPU-0"]) == 1


def test_what_could_not_be_undone_and_will_not_go_is_condemned() -> None:
    """It counts as occupied and is retried until it goes."""
    story = Story(A100, rules=Rules(condemn_failures=2))
    story.world.clumsy = True
    story.ask("a", "7g.40gb", patience=None)
    story.answer(fail=True)
    assert kinds(story.answer()) == [actions.DestroyInstance]
    story.answer(fail=True)
    story.wait(story.rules.retry_last)
    story.answer(fail=True)
    (left,) = story.ledger.state.instances.values()
    assert (left.state, left.ours) == (PlaceState.CONDEMNED, True)
    assert story.state("a") is LeaseState.WAITING
    story.wait(story.rules.retry_last)
    story.settle()
    assert story.state("a") is LeaseState.GRANTED


def test_failed_creations_end() -> None:
    """Five in a row are enough, even for a request that would wait for ever."""
    story = Story(A100)
    story.ask("a", "3g.20gb", patience=None)
    for _ in range(5):
        story.answer(fail=True)
        story.settle() if story.state("a") is LeaseState.RELEASED else story.answer()
    assert (story.reason("a"), story.lease("a").error) == (
        EndReason.DRIVER,
        "Insufficient Resources",
    )


def test_hopeless_creation() -> None:
    """Without permission there is no point in asking again."""
    story = Story(A100)
    story.ask("a", "3g.20gb", patience=None)
    said = story.happen(story.world.answer("GPU-0", fail=True, hopeless=True))
    assert actions.Refuse("a", EndReason.DRIVER) in said


def test_a_failed_creation_keeps_the_place_in_line() -> None:
    """Back in the queue, before those who came later."""
    story = Story(A100)
    story.ask("a", "7g.40gb", patience=None)
    story.ask("b", "7g.40gb", BOB, None)
    story.answer(fail=True)
    story.settle()
    assert story.state("a") is LeaseState.GRANTED


@pytest.mark.parametrize("fails", [True, False])
def test_doomed_static(fails: bool) -> None:
    """A claim that nobody waits for any more gives the instance back."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    story.ask("a", "3g.20gb", patience=None)
    story.release("a")
    story.answer(fail=fails)
    assert (story.state("a"), story.reason("a")) == (LeaseState.RELEASED, EndReason.CANCELLED)
    (place,) = story.ledger.state.instances.values()
    assert place.state is PlaceState.IDLE
    assert not story.world.locked


def test_doomed_creation_that_fails() -> None:
    """Nobody wanted it and it did not come: no second attempt."""
    story = Story(A100)
    story.ask("a", "3g.20gb", patience=None)
    story.dies(server(ALICE))
    said = story.answer(fail=True)
    assert kinds(said) == [actions.Refuse, actions.ObserveGpu]
    assert story.reason("a") is EndReason.HOLDER_LEFT


def test_doomed_instances_are_not_kept_warm() -> None:
    """What nobody waited for has no owner to be kept for: made or claimed, it is destroyed."""
    story = Story(A100, rules=Rules(warm=60))
    story.ask("a", "3g.20gb", patience=None)
    story.release("a")
    assert kinds(story.answer()) == [actions.Refuse, actions.DestroyInstance]
    story.settle()
    story.granted("b", "3g.20gb")
    story.release("b")
    story.settle()
    story.ask("c", "3g.20gb")
    story.release("c")
    assert kinds(story.answer(fail=True)) == [actions.DestroyInstance, actions.Refuse]


def test_answers_that_nobody_asked_for() -> None:
    """Whoever is seen on a slice in use, or not, the lease goes on."""
    story = Story(A100)
    place = story.bound("a", "3g.20gb")
    assert story.happen(events.OccupantsObserved(place.instance_id, ())) == []
    assert story.happen(events.OccupantsUnknown(place.instance_id, "lost")) == []
    assert story.state("a") is LeaseState.BOUND
    assert place.retry_at is None


def test_a_reused_id_proves_the_last_bearer_gone() -> None:
    """NVML gives the GI id of a held slice to a new instance: the old slice is lost."""
    story = Story(A100)
    story.bound("a", "3g.20gb")
    story.world.real["GPU-0"].clear()
    said = story.ask("b", "1g.5gb", BOB)
    said = story.answer()
    assert said == [
        actions.ReturnInstance("i2", "GPU-0", Identity(0, 0, "MIG-GPU-0-0-9-4")),
        actions.End("a", EndReason.LOST),
        actions.Grant("b"),
    ]


def test_a_reused_id_under_a_claim() -> None:
    """The warm instance being claimed is gone and its id somebody's: its request waits again, and
    the claim's answer is void.
    """
    story = Story(A100, rules=Rules(warm=60))
    story.granted("w", "3g.20gb")
    story.release("w")
    story.settle()
    story.ask("b", "1g.5gb", patience=None)
    story.ask("c", "3g.20gb", patience=None)
    story.world.real["GPU-0"].clear()
    story.settle()
    assert (story.state("b"), story.state("c")) == (LeaseState.GRANTED, LeaseState.GRANTED)
    assert story.real("b") is not story.real("c")


def test_a_retried_destroy_spares_the_next_bearer() -> None:
    """An instance that would not go was destroyed by hand; its id is a new lease's by now."""
    story = draining()
    story.answer()
    story.answer(fail=True)
    story.world.real["GPU-0"].clear()
    story.granted("b", "1g.5gb")
    assert story.wait(30) == []
    assert story.state("b") is LeaseState.GRANTED
