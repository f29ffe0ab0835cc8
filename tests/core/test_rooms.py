from __future__ import annotations

from jupyter_mig.core.rooms import Room, rooms
from tests.core.nodes import A100
from tests.core.story import Story


def test_an_empty_gpu_is_one_room() -> None:
    """Everything fits, the smallest first."""
    (room,) = rooms(Story(A100).ledger.state, "GPU-0")
    assert (room.start, room.width) == (0, 8)
    assert (room.sizes[0], room.sizes[-1]) == ("1g.5gb", "7g.40gb")


def test_what_fits_depends_on_where_the_room_is() -> None:
    """Beside a 3g on the right four units are free: 4g fits, as it starts at 0; a second 3g too."""
    story = Story(A100)
    story.granted("a", "3g.20gb")
    (room,) = rooms(story.ledger.state, "GPU-0")
    assert (room.start, room.width) == (0, 4)
    assert {"3g.20gb", "4g.20gb"} <= set(room.sizes)
    story.granted("b", "4g.20gb")
    assert rooms(story.ledger.state, "GPU-0") == []


def test_a_unit_where_nothing_starts_is_room_for_nothing() -> None:
    """Seven 1g leave the eighth memory unit of an A100 over."""
    story = Story(A100)
    for each in range(7):
        story.granted(f"k{each}", "1g.5gb")
    assert rooms(story.ledger.state, "GPU-0") == [Room(7, 1)]


def test_nothing_is_made_on_a_static_gpu() -> None:
    """Its free memory is shown, and named by nothing."""
    story = Story(A100, static={0: [("1g.5gb", 0), ("3g.20gb", 4)]})
    assert rooms(story.ledger.state, "GPU-0") == [Room(1, 3)]
