from __future__ import annotations

from jupyter_mig.core.queries import (
    by_kernel,
    estimate_seconds,
    free,
    mine_in_the_way,
    place_in_line,
    sizes_offered,
)
from jupyter_mig.core.rules import Rules
from tests.core.nodes import A30, A100
from tests.core.story import ALICE, BOB, Story
from tests.core.world import kernel


def counts(story: Story, owner: int = ALICE) -> dict[str, tuple[int, int]]:
    """Free and total by size."""
    return {it.name: (it.free, it.total) for it in sizes_offered(story.ledger.state, owner)}


def estimate(story: Story, name: str) -> float | None:
    """How long the lease still waits."""
    return estimate_seconds(story.ledger.state, story.rules, name)


def test_sizes_of_an_empty_node() -> None:
    """Everything is free, in reading order, each size once."""
    assert list(counts(Story(A100, A30)).items()) == [
        ("1g.5gb", (7, 7)),
        ("1g.5gb+me", (1, 1)),
        ("1g.6gb", (4, 4)),
        ("1g.6gb+me", (1, 1)),
        ("1g.10gb", (4, 4)),
        ("2g.10gb", (3, 3)),
        ("2g.12gb", (2, 2)),
        ("3g.20gb", (2, 2)),
        ("4g.20gb", (1, 1)),
        ("4g.24gb", (1, 1)),
        ("7g.40gb", (1, 1)),
    ]


def test_sizes_beside_a_lease() -> None:
    """What a lease takes is not free; the total does not change."""
    story = Story(A100)
    story.granted("a", "3g.20gb")
    assert counts(story)["1g.5gb"] == (4, 7)
    assert counts(story)["7g.40gb"] == (0, 1)


def test_sizes_of_static_instances() -> None:
    """What exists is on offer, what somebody is on is not free, what outsiders have is neither."""
    story = Story(A100, A100, static={0: [("1g.5gb", 0), ("1g.5gb", 1), ("3g.20gb", 4)]})
    story.exists(1, "7g.40gb", 0)
    story.world.real["GPU-0"][0].occupants.add(9)
    story.look()
    assert counts(story) == {
        "1g.5gb": (1, 9),
        "1g.5gb+me": (0, 1),
        "1g.10gb": (0, 4),
        "2g.10gb": (0, 3),
        "3g.20gb": (1, 3),
        "4g.20gb": (0, 1),
        "7g.40gb": (0, 1),
    }


def test_sizes_where_the_driver_explains_nothing() -> None:
    """An unprivileged reader still knows name and memory of what exists."""
    story = Story(A100, static={0: [("3g.20gb", 4)]})
    story.world.blind.add("GPU-0")
    story.ledger.state.remove_places()
    story.look()
    (only,) = sizes_offered(story.ledger.state, ALICE)
    assert (only.name, only.free, only.total, only.width) == ("3g.20gb", 1, 1, 0)
    assert only.memory_bytes == A100.by_name["3g.20gb"].memory_bytes
    assert only.models == ("test GPU",)


def test_warm_counts_as_room() -> None:
    """A warm instance makes way, so its room is free to everybody; parked room is not."""
    story = Story(A100, rules=Rules(warm=60))
    story.granted("a", "3g.20gb")
    story.release("a")
    story.settle()
    assert free(story.ledger.state, "7g.40gb", BOB) == 1
    story.ask("b", "7g.40gb", BOB, None)
    assert free(story.ledger.state, "1g.5gb", ALICE) == 0


def test_by_kernel() -> None:
    """A kernel's live lease is found by its owner alone, and not when it is on its way out."""
    story = Story(A100)
    story.bound("a", "1g.5gb")
    state = story.ledger.state
    found = by_kernel(state, ALICE, "a")
    assert found is not None
    assert found.lease_id == "a"
    assert by_kernel(state, BOB, "a") is None
    story.release("a")
    assert by_kernel(state, ALICE, "a") is None


def test_no_estimate_for_what_nobody_knows() -> None:
    """A slice in use ends when its user ends it: no guess."""
    story = Story(A100)
    story.bound("a", "7g.40gb")
    story.ask("b", "7g.40gb", BOB, None)
    assert place_in_line(story.ledger.state, story.rules, "b") == 1
    assert estimate(story, "b") is None


def test_estimates_of_what_is_on_its_way() -> None:
    """An orphan's grace, a slice being emptied, an instance being destroyed: that is known. It
    is said to the head of the line alone.
    """
    story = Story(A100)
    story.bound("a", "7g.40gb")
    story.ask("b", "7g.40gb", BOB, None)
    story.ask("c", "7g.40gb", BOB, None)
    story.dies(kernel(500))
    assert estimate(story, "b") == 32.0
    assert estimate(story, "c") is None
    story.wait(10)
    assert estimate(story, "b") == 22.0
    story.release("a")
    assert estimate(story, "b") == 2.0
    story.answer()
    assert estimate(story, "b") == 1.0
    story.answer()
    assert estimate(story, "b") is None


def test_no_estimate_when_it_is_not_enough() -> None:
    """What is on its way must make the room all by itself."""
    story = Story(A100)
    story.bound("a", "3g.20gb", pid=500)
    story.bound("b", "3g.20gb", pid=501)
    story.ask("c", "7g.40gb", BOB, None)
    story.dies(kernel(500))
    assert estimate(story, "c") is None
    story.dies(kernel(501))
    assert estimate(story, "c") == 32.0


def test_estimate_of_a_static_instance() -> None:
    """An existing instance that is being emptied comes back under its own name."""
    story = Story(A100, static={0: [("3g.20gb", 0)]})
    story.bound("a", "3g.20gb")
    story.ask("b", "3g.20gb", BOB, None)
    story.dies(kernel(500))
    story.release("a")
    assert estimate(story, "b") == 2.0


def test_mine_in_the_way() -> None:
    """One's own leases, those first whose end would help, then the longest held; never others'."""
    story = Story(A100)
    story.granted("old", "1g.5gb")
    story.wait(1)
    story.granted("other", "1g.5gb", BOB)
    story.wait(1)
    story.granted("big", "3g.20gb")
    found = mine_in_the_way(story.ledger.state, story.rules, ALICE, "3g.20gb")
    assert [(it.lease.lease_id, it.profile_name, it.would_make_room) for it in found] == [
        ("big", "3g.20gb", True),
        ("old", "1g.5gb", False),
    ]
