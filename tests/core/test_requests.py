from __future__ import annotations

import pytest

from jupyter_mig.core import actions, events
from jupyter_mig.core.events import Ask
from jupyter_mig.core.geometry import Spec
from jupyter_mig.core.leases import EndReason, Holder, LeaseState
from jupyter_mig.core.rules import Rules
from tests.core.nodes import A100, RTX_PRO
from tests.core.story import ALICE, BOB, Story, kinds, server
from tests.core.world import kernel

STATES = [LeaseState.WAITING, LeaseState.CREATING, LeaseState.GRANTED, LeaseState.BOUND]
STATES += [LeaseState.ORPHANED, LeaseState.DRAINING]


def lease_in(state: LeaseState) -> Story:
    """A story whose lease ``a`` has come as far as that."""
    story = Story(A100)
    if state is LeaseState.WAITING:
        story.granted("other", "7g.40gb", BOB)
    story.ask("a", "7g.40gb", patience=None)
    if state not in (LeaseState.WAITING, LeaseState.CREATING):
        story.settle()
    if state in (LeaseState.BOUND, LeaseState.ORPHANED, LeaseState.DRAINING):
        story.bind("a")
    if state in (LeaseState.ORPHANED, LeaseState.DRAINING):
        story.dies(kernel(500))
    if state is LeaseState.DRAINING:
        story.release("a")
    assert story.state("a") is state
    return story


def test_request_to_grant() -> None:
    """An empty GPU: the instance is made at the chosen place, then the slice is granted."""
    story = Story(A100)
    assert story.ask("a", "3g.20gb") == [
        actions.CreateInstance("i2", Spec("GPU-0", 9, 4), owner=1000)
    ]
    assert story.answer() == [actions.Grant("a")]
    assert story.state("a") is LeaseState.GRANTED


def test_unknown_size() -> None:
    """A size that no GPU has is refused at once, however patient the request."""
    story = Story(A100)
    assert story.ask("a", "9g.99gb", patience=None) == [actions.Refuse("a", EndReason.UNKNOWN_SIZE)]


def test_no_patience() -> None:
    """Now or never: what does not fit is refused in the same turn."""
    story = Story(A100)
    story.granted("a", "7g.40gb")
    assert story.ask("b", "1g.5gb") == [actions.Refuse("b", EndReason.NO_ROOM)]


def test_a_batch_is_planned_largest_first() -> None:
    """1g, 1g, 2g, 3g asked for together fit one GPU, whatever their order in the request."""
    story = Story(A100)
    sizes = ["1g.5gb", "1g.5gb", "2g.10gb", "3g.20gb"]
    asks = tuple(Ask(f"{i}", f"{i}", ALICE, server(ALICE), size) for i, size in enumerate(sizes))
    said = story.happen(events.SlicesRequested(asks))
    assert kinds(said) == [actions.CreateInstance] * 4


def test_media_variants_in_a_story() -> None:
    """One ``+me.all`` takes all engines: a second and a plain slice wait, ``-me`` does not."""
    story = Story(RTX_PRO)
    story.granted("a", "1g.24gb+me.all")
    story.ask("b", "1g.24gb+me.all", patience=None)
    story.ask("c", "1g.24gb", patience=None)
    story.granted("d", "1g.24gb-me")
    assert (story.state("b"), story.state("c")) == (LeaseState.WAITING, LeaseState.WAITING)


@pytest.mark.parametrize("state", STATES[:5])
def test_asking_twice_is_asking_once(state: LeaseState) -> None:
    """The kernel id is the key: no second lease, and the first hangs on whoever asked last."""
    story = lease_in(state)
    again = Ask("b", "a", ALICE, Holder("another server"), "7g.40gb", "", None)
    said = story.happen(events.SlicesRequested((again,)))
    assert "b" not in story.ledger.state.leases
    assert story.lease("a").requester == "another server"
    assert (actions.Grant("a") in said) == (state not in (LeaseState.WAITING, LeaseState.CREATING))
    story.dies(server(ALICE))
    assert story.state("a") not in (LeaseState.DRAINING, LeaseState.RELEASED)


def test_asking_after_release_is_new() -> None:
    """A lease on its way out is not given again: the kernel gets another."""
    story = lease_in(LeaseState.DRAINING)
    again = Ask("b", "a", ALICE, server(ALICE), "7g.40gb", "", None)
    assert story.happen(events.SlicesRequested((again,))) == [actions.Enqueue("b")]
    story.settle()
    assert (story.state("a"), story.state("b")) == (LeaseState.RELEASED, LeaseState.GRANTED)


def test_the_same_kernel_id_of_another_user() -> None:
    """Kernel ids are keys within one user."""
    story = Story(A100)
    story.granted("a", "1g.5gb")
    story.happen(events.SlicesRequested((Ask("b", "a", BOB, server(BOB), "1g.5gb", "", None),)))
    story.settle()
    assert (story.lease("a").owner, story.lease("b").owner) == (ALICE, BOB)


@pytest.mark.parametrize(
    ("state", "then", "reason"),
    [
        (LeaseState.WAITING, LeaseState.RELEASED, EndReason.CANCELLED),
        (LeaseState.CREATING, LeaseState.DOOMED, EndReason.CANCELLED),
        (LeaseState.GRANTED, LeaseState.DRAINING, EndReason.RELEASED),
        (LeaseState.BOUND, LeaseState.DRAINING, EndReason.RELEASED),
        (LeaseState.ORPHANED, LeaseState.DRAINING, EndReason.RELEASED),
    ],
)
def test_release(state: LeaseState, then: LeaseState, reason: EndReason) -> None:
    """Letting go works from every state, and saying so again changes nothing."""
    story = lease_in(state)
    story.release("a")
    assert (story.state("a"), story.reason("a")) == (then, reason)
    assert story.release("a") == []
    story.dies(kernel(500))
    story.settle()
    assert (story.state("a"), story.reason("a")) == (LeaseState.RELEASED, reason)


@pytest.mark.parametrize(
    ("state", "then"),
    [
        (LeaseState.WAITING, LeaseState.RELEASED),
        (LeaseState.CREATING, LeaseState.DOOMED),
        (LeaseState.GRANTED, LeaseState.DRAINING),
        (LeaseState.BOUND, LeaseState.BOUND),
        (LeaseState.ORPHANED, LeaseState.DRAINING),
        (LeaseState.DRAINING, LeaseState.DRAINING),
    ],
)
def test_server_death(state: LeaseState, then: LeaseState) -> None:
    """A lease dies with the server that asked, unless a kernel of its own lives."""
    story = lease_in(state)
    story.dies(server(ALICE))
    assert story.state("a") is then


def test_doomed_while_being_made() -> None:
    """A creation cannot be cancelled: it is undone when it is there."""
    story = lease_in(LeaseState.CREATING)
    story.release("a")
    assert story.dies(server(ALICE)) == []
    said = story.answer()
    assert kinds(said) == [actions.Refuse, actions.DestroyInstance]
    story.settle()
    assert not story.ledger.state.instances


def test_restart_keeps_the_slice() -> None:
    """Kernel dead, server alive: renewed and bound again within the grace, on the same slice."""
    story = Story(A100)
    place = story.bound("a", "3g.20gb")
    story.dies(kernel(500))
    assert story.state("a") is LeaseState.ORPHANED
    story.wait(29)
    story.happen(events.LeaseRenewed("a", server(ALICE)))
    assert (story.state("a"), story.lease("a").kernel) == (LeaseState.GRANTED, None)
    story.bind("a", 501)
    story.wait(10_000)
    assert (story.state("a"), story.place("a")) == (LeaseState.BOUND, place)


def test_a_quick_restart_needs_no_renewal() -> None:
    """The next kernel may be bound before or after the old one is seen to be gone."""
    story = Story(A100)
    story.bound("a", "3g.20gb")
    story.bind("a", 501)
    story.dies(kernel(500))
    assert story.state("a") is LeaseState.BOUND
    story.dies(kernel(501))
    story.bind("a", 502)
    assert story.state("a") is LeaseState.BOUND


def test_both_dead() -> None:
    """With its server gone before, a kernel's death ends the lease without grace."""
    story = Story(A100)
    story.bound("a", "3g.20gb")
    story.dies(server(ALICE))
    assert kernel(500) in story.ledger.holders()
    story.dies(kernel(500))
    assert (story.state("a"), story.reason("a")) == (LeaseState.DRAINING, EndReason.HOLDER_LEFT)


def test_another_server_takes_over() -> None:
    """A new server renews a bound lease: from then on the lease hangs on it."""
    story = Story(A100)
    story.bound("a", "3g.20gb")
    story.dies(server(ALICE))
    story.happen(events.LeaseRenewed("a", Holder("new server")))
    story.dies(kernel(500))
    assert story.state("a") is LeaseState.ORPHANED


@pytest.mark.parametrize("state", [LeaseState.WAITING, LeaseState.CREATING, LeaseState.DRAINING])
def test_nothing_to_bind_or_resize(state: LeaseState) -> None:
    """Without a usable slice there is nothing to bind, renew or resize."""
    story = lease_in(state)
    assert story.bind("a") == []
    assert story.happen(events.LeaseRenewed("a", Holder("x"))) == []
    assert story.happen(events.ResizeRequested("a", "1g.5gb")) == []
    assert story.state("a") is state


def test_resize_within_the_old_window() -> None:
    """The old window counts as free: 1g to 7g on a GPU of one's own, old and new room parked."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    assert story.happen(events.ResizeRequested("a", "7g.40gb")) == [actions.Park("a", "7g.40gb")]
    story.dies(kernel(500))
    story.release("a")
    story.ask("b", "7g.40gb", ALICE, None, instead_of="a")
    story.settle()
    assert story.state("b") is LeaseState.GRANTED
    assert "a" in story.ledger.state.parkings
    story.bind("b", 501)
    assert not story.ledger.state.parkings


def test_resize_refused_before_anything_stops() -> None:
    """No room even with the old slice away: the answer is no, and the kernel has not noticed."""
    story = Story(A100)
    story.granted("other", "1g.5gb", BOB)
    story.bound("a", "1g.5gb")
    said = story.happen(events.ResizeRequested("a", "7g.40gb"))
    assert said == [actions.RefuseResize("a", "7g.40gb")]
    assert story.state("a") is LeaseState.BOUND
    assert not story.ledger.state.parkings


def test_back_to_the_old_size() -> None:
    """The new size cannot be made after all: the old room is still there to go back to."""
    story = Story(A100)
    story.bound("a", "3g.20gb")
    story.happen(events.ResizeRequested("a", "7g.40gb"))
    story.dies(kernel(500))
    story.release("a")
    story.settle()
    story.ask("b", "7g.40gb", ALICE, 0, instead_of="a")
    story.happen(story.world.answer("GPU-0", fail=True, hopeless=True))
    assert story.reason("b") is EndReason.DRIVER
    story.ask("thief", "1g.5gb", BOB, None)
    story.granted("c", "3g.20gb", ALICE, instead_of="a")
    assert story.state("thief") is LeaseState.WAITING


def test_old_room_beside_the_new() -> None:
    """The old window is kept although the new one is elsewhere."""
    story = Story(A100)
    story.granted("other", "1g.5gb", BOB)
    story.bound("a", "1g.5gb")
    old = story.start("a")
    story.happen(events.ResizeRequested("a", "3g.20gb"))
    story.dies(kernel(500))
    story.release("a")
    story.settle()
    for name in ("bob 1", "bob 2"):
        story.ask(name, "1g.5gb", BOB, None)
        story.settle()
    assert (story.state("bob 1"), story.state("bob 2")) == (LeaseState.GRANTED, LeaseState.WAITING)
    story.granted("b", "1g.5gb", ALICE, instead_of="a")
    assert story.start("b") == old


def test_parked_room_is_nobody_elses() -> None:
    """Neither another user nor the owner's other requests get it; not naming the lease, and not
    when it is somebody else's.
    """
    story = Story(A100)
    story.bound("a", "1g.5gb")
    story.happen(events.ResizeRequested("a", "7g.40gb"))
    story.ask("bob", "1g.5gb", BOB, None, instead_of="a")
    story.ask("alice", "1g.5gb", ALICE, None)
    assert (story.state("bob"), story.state("alice")) == (LeaseState.WAITING, LeaseState.WAITING)
    story.ask("b", "2g.10gb", ALICE, 0, instead_of="a")
    assert story.state("b") is LeaseState.CREATING


def test_somebody_elses_resize_is_not_ended() -> None:
    """Binding a lease that names another user's in ``instead_of`` leaves that one's room parked."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    story.happen(events.ResizeRequested("a", "3g.20gb"))
    story.granted("b", "1g.5gb", BOB, instead_of="a")
    story.bind("b", 501)
    assert "a" in story.ledger.state.parkings


def test_parking_expires() -> None:
    """Room is kept for two minutes, then it is everybody's."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    story.happen(events.ResizeRequested("a", "7g.40gb"))
    story.ask("bob", "3g.20gb", BOB, None)
    story.wait(119)
    assert story.state("bob") is LeaseState.WAITING
    story.wait(1)
    assert story.state("bob") is LeaseState.CREATING


def test_asking_again_and_again_keeps_no_room_for_ever() -> None:
    """Ten minutes after the first time it is everybody's; a resize after that begins anew."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    story.happen(events.ResizeRequested("a", "7g.40gb"))
    story.ask("bob", "4g.20gb", BOB, None)
    for _ in range(6):
        story.wait(99)
        assert story.state("bob") is LeaseState.WAITING
        story.happen(events.ResizeRequested("a", "7g.40gb"))
    story.wait(6)
    assert story.state("bob") is LeaseState.CREATING
    story.happen(events.ResizeRequested("a", "2g.10gb"))
    assert story.ledger.state.parkings["a"].until == story.now + story.rules.park


def test_parked_warm_instance_expires() -> None:
    """A warm instance parked for a resize may be destroyed meanwhile; its room stays parked."""
    story = Story(A100, rules=Rules(warm=60))
    story.granted("w", "3g.20gb")
    story.bound("a", "1g.5gb")
    story.release("w")
    story.settle()
    story.happen(events.ResizeRequested("a", "3g.20gb"))
    story.wait(61)
    story.ask("bob 1", "3g.20gb", BOB, None)
    story.ask("bob 2", "3g.20gb", BOB, None)
    story.settle()
    story.granted("b", "3g.20gb", ALICE, instead_of="a")


def test_resize_clears_warm_instances() -> None:
    """Warm instances make way for a resize as they do for a request."""
    story = Story(A100, rules=Rules(warm=60))
    story.granted("w", "3g.20gb", BOB)
    story.bound("a", "1g.5gb")
    story.release("w")
    story.settle()
    said = story.happen(events.ResizeRequested("a", "7g.40gb"))
    assert kinds(said) == [actions.DestroyInstance, actions.Park]


def test_resize_between_static_instances() -> None:
    """Both the instance to come and the old one are kept."""
    story = Story(A100, static={0: [("3g.20gb", 0), ("1g.5gb", 4)]})
    story.bound("a", "1g.5gb")
    story.happen(events.ResizeRequested("a", "3g.20gb"))
    story.dies(kernel(500))
    story.release("a")
    story.settle()
    story.ask("bob 1", "3g.20gb", BOB, None)
    story.ask("bob 2", "1g.5gb", BOB, None)
    story.granted("b", "3g.20gb", ALICE, instead_of="a")
    story.bind("b", 501)
    story.settle()
    assert (story.state("bob 1"), story.state("bob 2")) == (LeaseState.WAITING, LeaseState.GRANTED)
