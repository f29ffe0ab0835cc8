from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyter_mig.core.check import BrokenInvariant
from jupyter_mig.core.geometry import Spec
from jupyter_mig.core.leases import Holder, LeaseState
from jupyter_mig.core.state import Parking, PlaceState
from tests.core.nodes import A100
from tests.core.story import ALICE, BOB, Story
from tests.core.world import kernel


def household() -> Story:
    """A bound, a granted, an orphaned, a draining and a waiting lease."""
    story = Story(A100)
    story.bound("bound", "1g.5gb", pid=500)
    story.granted("granted", "1g.5gb")
    story.bound("orphaned", "1g.5gb", pid=501)
    story.dies(kernel(501))
    story.granted("draining", "1g.5gb", BOB)
    story.release("draining")
    story.ask("waiting", "7g.40gb", BOB, None)
    return story


def break_overlap(story: Story) -> None:
    """Two instances in one window."""
    story.place("bound").spec = story.place("granted").spec


def break_instance(story: Story) -> None:
    """A bound lease without an instance."""
    story.lease("bound").instance_id = None


def break_waiting_with_instance(story: Story) -> None:
    """A waiting lease with one."""
    story.lease("waiting").instance_id = "i2"


def break_whose(story: Story) -> None:
    """A lease with another's instance."""
    story.lease("bound").instance_id = story.lease("granted").instance_id


def break_identity(story: Story) -> None:
    """A held instance that NVML has no name for."""
    story.place("bound").identity = None


def break_kernel(story: Story) -> None:
    """A lease bound to nothing."""
    story.lease("bound").kernel = None


def break_stray_kernel(story: Story) -> None:
    """A lease not bound that has a kernel."""
    story.lease("granted").kernel = Holder("stray")


def break_requester(story: Story) -> None:
    """An orphan whose server is gone."""
    story.lease("orphaned").requester_left = True


def break_deadline(story: Story) -> None:
    """An orphan without end."""
    story.lease("orphaned").deadline = None


def break_filing(story: Story) -> None:
    """A lease that is over among the live."""
    story.lease("waiting").state = LeaseState.RELEASED


def break_reason(story: Story) -> None:
    """An instance held for nobody."""
    story.place("draining").lease_id = None


def break_idle(story: Story) -> None:
    """An instance of ours that is idle for ever."""
    place = story.place("draining")
    place.lease_id, place.state = None, PlaceState.IDLE
    story.ledger.state.leases.pop("draining")


def break_watch(story: Story) -> None:
    """A slice that nobody looks at whether it is empty."""
    story.place("draining").asked = False


def break_key(story: Story) -> None:
    """Two leases for one kernel."""
    story.lease("granted").kernel_id = "bound"


def break_line(story: Story) -> None:
    """The head of the line beside room."""
    story.lease("waiting").size = "1g.5gb"


def break_later_in_line(story: Story) -> None:
    """One behind the head beside room."""
    story.ask("later", "7g.40gb", patience=None)
    story.lease("later").size = "1g.5gb"


def break_parkings(story: Story) -> None:
    """Room parked for two users."""
    for owner in (ALICE, BOB):
        key = f"parking {owner}"
        story.ledger.state.parkings[key] = Parking(key, owner, "1g.5gb", 999.0, {"GPU-0": 1})


def break_parked_room(story: Story) -> None:
    """Parked room with somebody else's lease in it."""
    story.ledger.state.parkings["x"] = Parking("x", BOB, "7g.40gb", 999.0, {"GPU-0": 255})


BREAKS = [value for name, value in sorted(globals().items()) if name.startswith("break_")]


@pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__)
def test_damage_is_seen(damage: Callable[[Story], None]) -> None:
    """Each way to contradict itself is found in a state that was fine before."""
    story = household()
    story.ledger.check()
    damage(story)
    with pytest.raises(BrokenInvariant):
        story.ledger.check()


def test_unknown_starts_are_not_overlaps() -> None:
    """Where placements are not known nothing can be said about overlaps."""
    story = Story(A100, static={0: [("3g.20gb", 0), ("3g.20gb", 4)]})
    for place in story.ledger.state.instances.values():
        place.spec = Spec("GPU-0", place.spec.profile_id)
    story.ledger.check()
