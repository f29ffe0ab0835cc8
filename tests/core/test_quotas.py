from __future__ import annotations

import msgspec
import pytest

from jupyter_mig.core import actions, events, quotas
from jupyter_mig.core.geometry import Geometry
from jupyter_mig.core.leases import EndReason, LeaseState
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.queries import estimate_seconds, place_in_line
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import PlaceState
from tests.core.nodes import A30, A100
from tests.core.story import ALICE, BOB, Story, kinds, server
from tests.core.world import UNKILLABLE, kernel

ONE = Limits("one slice", slices=1)
HALF = Limits("half a GPU", share=0.5)
SMALL = Limits("small ones", sizes=("1g.5gb", "2g.10gb"))


@pytest.mark.parametrize(
    ("size", "limits"),
    [
        ("3g.20gb", SMALL),
        ("20gb+", SMALL),
        ("1g.5gb", Limits("nothing", slices=0)),
        ("4g.20gb", Limits("a quarter", share=0.25)),
    ],
)
def test_what_is_never_allowed_is_refused_at_once(size: str, limits: Limits) -> None:
    """However long the request would wait, and although there is room."""
    story = Story(A100)
    said = story.ask("a", size, patience=None, limits=limits)
    assert said == [actions.Refuse("a", EndReason.NOT_ALLOWED)]


def test_a_size_that_the_node_lacks_is_not_called_forbidden() -> None:
    """That it is unknown comes first."""
    story = Story(A100)
    said = story.ask("a", "9g.99gb", limits=SMALL)
    assert said == [actions.Refuse("a", EndReason.UNKNOWN_SIZE)]


def test_a_requirement_takes_what_is_allowed() -> None:
    """Of the profiles that satisfy it, those allowed; not the next larger one."""
    story = Story(A100)
    for name in ("a", "b", "c"):
        story.granted(name, "10gb+", limits=SMALL)
        assert story.place(name).profile_name == "2g.10gb"
    assert story.ask("d", "10gb+", limits=SMALL) == [actions.Refuse("d", EndReason.NO_ROOM)]


def test_names_are_allowed_too() -> None:
    """A rule may say what the administrator calls a size, or a requirement."""
    story = Story(A100, rules=Rules(names={"small": "1g.5gb"}))
    limits = Limits("r", sizes=("small", "20gb+"))
    story.granted("a", "1g.5gb", limits=limits)
    story.granted("b", "4g.20gb", limits=limits)
    said = story.ask("c", "2g.10gb", limits=limits)
    assert said == [actions.Refuse("c", EndReason.NOT_ALLOWED)]


def test_over_quota_without_patience() -> None:
    """Refused by its own name, although there is room."""
    story = Story(A100)
    story.granted("a", "1g.5gb", limits=ONE)
    assert story.ask("b", "1g.5gb", limits=ONE) == [actions.Refuse("b", EndReason.OVER_QUOTA)]


def test_over_quota_out_of_patience() -> None:
    """It is not for want of room that it ends."""
    story = Story(A100)
    story.granted("a", "1g.5gb", limits=ONE)
    story.bind("a")
    story.ask("b", "1g.5gb", patience=60, limits=ONE)
    assert story.wait(60) == [actions.Refuse("b", EndReason.OVER_QUOTA)]


def test_over_quota_waits_and_keeps_nobody() -> None:
    """However long it has waited; and gets its slice when the owner gives one back."""
    story = Story(A100)
    story.bound("a", "3g.20gb", limits=HALF)
    story.ask("b", "3g.20gb", patience=None, limits=HALF)
    story.wait(1_000)
    story.granted("c", "3g.20gb", BOB)
    story.release("c")
    story.settle()
    state = story.ledger.state
    assert story.state("b") is LeaseState.WAITING
    assert place_in_line(state, story.rules, "b") == 1
    assert estimate_seconds(state, story.rules, "b") is None
    story.release("a")
    story.settle()
    assert story.state("b") is LeaseState.GRANTED


def test_a_slice_given_back_counts_no_more() -> None:
    """While it is emptied: the next one may begin where there is room."""
    story = Story(A100)
    story.bound("a", "1g.5gb", limits=ONE)
    story.occupy("a", 1_000)
    story.release("a")
    story.ask("b", "1g.5gb", limits=ONE)
    assert (story.state("a"), story.state("b")) == (LeaseState.DRAINING, LeaseState.CREATING)


def test_a_slice_counts_while_it_is_made() -> None:
    """Also when nobody wants it any more: who takes requests back is not given ever more."""
    story = Story(A100)
    story.ask("a", "1g.5gb", limits=ONE)
    story.release("a")
    assert story.state("a") is LeaseState.DOOMED
    assert actions.Refuse("b", EndReason.OVER_QUOTA) in story.ask("b", "1g.5gb", limits=ONE)


def test_others_are_not_affected() -> None:
    """One user's slices count for him alone."""
    story = Story(A100)
    story.granted("a", "1g.5gb", limits=ONE)
    story.granted("b", "1g.5gb", BOB, limits=ONE)


def test_shares_go_by_the_gpu() -> None:
    """Half a GPU is one half of an A100 or two quarters of an A30; a larger one is passed over."""
    story = Story(A100, A30)
    story.granted("a", "1g.6gb", limits=HALF)
    story.granted("b", "1g.6gb", limits=HALF)
    assert story.ask("c", "1g.5gb", limits=HALF) == [actions.Refuse("c", EndReason.OVER_QUOTA)]
    assert quotas.held(story.ledger.state, ALICE) == quotas.Held(2, 0.5)


def test_the_share_of_existing_instances() -> None:
    """They count like others; where their windows are not known, by their memory."""
    story = Story(A100, static={0: [("3g.20gb", 0), ("3g.20gb", 4)]})
    story.granted("a", "3g.20gb", limits=HALF)
    assert story.ask("b", "3g.20gb", limits=HALF) == [actions.Refuse("b", EndReason.OVER_QUOTA)]


def test_many_at_once_as_far_as_allowed() -> None:
    """Of a batch so many are served as the owner may have."""
    story = Story(A100)
    asks = tuple(
        events.Ask(name, name, ALICE, server(ALICE), "1g.5gb", "", None, "", HALF)
        for name in "abcdef"
    )
    story.happen(events.SlicesRequested(asks))
    story.settle()
    states = [story.state(name) for name in "abcdef"]
    assert states == [LeaseState.GRANTED] * 4 + [LeaseState.WAITING] * 2


def test_waiting_no_longer_than_allowed() -> None:
    """A request that would wait for ever gives up when the rule says so."""
    story = Story(A100)
    story.bound("a", "7g.40gb", BOB)
    story.ask("b", "1g.5gb", patience=None, limits=Limits("r", wait_seconds=60))
    assert story.wait(60) == [actions.Refuse("b", EndReason.OUT_OF_PATIENCE)]


def test_a_lifetime_ends_the_lease() -> None:
    """Counted from the grant, whatever restarts there were; its processes are asked to go."""
    story = Story(A100)
    story.bound("a", "1g.5gb", limits=Limits("r", lifetime_seconds=100))
    story.occupy("a", 500)
    story.wait(60)
    story.dies(kernel(500))
    story.bind("a", 501)
    assert story.ledger.next_deadline() == 200.0
    assert kinds(story.wait(40)) == [actions.ObserveOccupants]
    story.settle()
    assert story.reason("a") is EndReason.LIFETIME


def test_a_lifetime_begins_with_the_grant() -> None:
    """Waiting does not count."""
    story = Story(A100)
    story.bound("other", "7g.40gb", BOB)
    story.ask("a", "1g.5gb", patience=None, limits=Limits("r", lifetime_seconds=50))
    story.wait(1_000)
    story.dies(kernel(500))
    story.release("other")
    story.settle()
    story.bind("a", 501)
    story.wait(49)
    assert story.state("a") is LeaseState.BOUND


@pytest.mark.parametrize(
    ("size", "limits", "reason"),
    [
        ("3g.20gb", SMALL, EndReason.NOT_ALLOWED),
        ("7g.40gb", HALF, EndReason.NOT_ALLOWED),
        ("4g.20gb", HALF, EndReason.OVER_QUOTA),
        ("4g.20gb", None, EndReason.NO_ROOM),
    ],
)
def test_a_resize_beyond_the_limits(size: str, limits: Limits | None, reason: EndReason) -> None:
    """Refused before anything stops, and it says why."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    story.bound("b", "2g.10gb", pid=501)
    story.granted("other", "2g.10gb", BOB)
    said = story.happen(events.ResizeRequested("a", size, limits))
    assert said == [actions.RefuseResize("a", size, reason)]
    assert story.state("a") is LeaseState.BOUND


def test_a_resize_within_the_limits() -> None:
    """The old slice counts as given back: one who may have one changes its size."""
    story = Story(A100)
    story.bound("a", "3g.20gb", limits=ONE)
    assert kinds(story.happen(events.ResizeRequested("a", "4g.20gb", ONE))) == [actions.Park]
    story.dies(kernel(500))
    story.release("a")
    story.granted("b", "4g.20gb", instead_of="a", limits=ONE)


def test_what_is_kept_for_a_resize_counts() -> None:
    """A request of the same owner's that waits does not take the place of the one that is changed:
    going back would not be possible either.
    """
    story = Story(A100)
    story.bound("a", "1g.5gb", limits=ONE)
    story.ask("w", "1g.5gb", patience=None, limits=ONE)
    story.happen(events.ResizeRequested("a", "2g.10gb", ONE))
    story.dies(kernel(500))
    story.release("a")
    story.settle()
    assert story.state("w") is LeaseState.WAITING
    story.granted("b", "2g.10gb", instead_of="a", limits=ONE)
    assert story.state("w") is LeaseState.WAITING


def test_a_resize_is_no_second_slice() -> None:
    """Room is kept, but as long as the old slice is not given back it counts."""
    story = Story(A100)
    story.bound("a", "1g.5gb", limits=ONE)
    story.happen(events.ResizeRequested("a", "2g.10gb", ONE))
    said = story.ask("b", "2g.10gb", instead_of="a", limits=ONE)
    assert said == [actions.Refuse("b", EndReason.OVER_QUOTA)]


def test_limits_are_in_the_log() -> None:
    """A replay reads no configuration."""
    story = Story(A100)
    story.granted("a", "1g.5gb", limits=ONE)
    story.ask("b", "1g.5gb", patience=None, limits=ONE)
    replayed = Ledger.replay(story.log, story.rules)
    assert replayed.snapshot() == story.ledger.snapshot()
    assert replayed.state.leases["b"].limits == ONE


def test_room_kept_on_a_gpu_whose_table_is_gone() -> None:
    """MIG was turned off under a resize: what is kept there still counts as one slice."""
    story = Story(A100)
    story.bound("a", "3g.20gb", limits=HALF)
    story.happen(events.ResizeRequested("a", "2g.10gb", HALF))
    story.world.real["GPU-0"].clear()
    story.world.gpus["GPU-0"] = msgspec.structs.replace(
        story.world.gpus["GPU-0"], geometry=Geometry()
    )
    story.happen(story.world.observed("GPU-0"))
    assert quotas.held(story.ledger.state, ALICE) == quotas.Held(1, 0.0)


def test_a_slice_given_back_with_somebody_on_it_counts_until_it_is_empty() -> None:
    """Seen by the first look: who leaves processes on his slices cannot hoard them so."""
    story = Story(A100)
    story.bound("a", "1g.5gb", limits=ONE)
    story.occupy("a", 7)
    story.dies(kernel(500))
    story.release("a")
    story.answer()
    assert actions.Refuse("b", EndReason.OVER_QUOTA) in story.ask("b", "1g.5gb", limits=ONE)
    story.granted("others", "1g.5gb", BOB, limits=ONE)
    story.wait(4)
    story.settle()
    story.wait(4)
    story.settle()
    assert story.state("a") is LeaseState.RELEASED
    story.granted("c", "1g.5gb", limits=ONE)


@pytest.mark.parametrize("static", [False, True])
def test_a_condemned_slice_counts_for_him_who_left_somebody_there(static: bool) -> None:
    """Whoever it is. When they are gone it counts no more."""
    there = [("1g.5gb", 0), ("1g.5gb", 1)]
    story = Story(A100, static={0: there}) if static else Story(A100)
    story.bound("a", "1g.5gb", limits=ONE)
    place = story.place("a")
    story.occupy("a", UNKILLABLE)
    real = story.real("a")
    story.dies(kernel(500))
    story.release("a")
    for _ in range(14):
        story.settle()
        story.wait(3)
    assert (story.state("a"), place.state) == (LeaseState.RELEASED, PlaceState.CONDEMNED)
    assert actions.Refuse("b", EndReason.OVER_QUOTA) in story.ask("b", "1g.5gb", limits=ONE)
    real.occupants.clear()
    story.wait(31)
    story.settle()
    assert place.left_by is None or place.instance_id not in story.ledger.state.instances
    story.granted("c", "1g.5gb", limits=ONE)
