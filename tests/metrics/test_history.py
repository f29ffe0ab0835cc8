"""The last minutes of each lease."""

from __future__ import annotations

import pytest

from jupyter_mig.metrics.history import (
    KEPT_SECONDS,
    MOST_POINTS,
    STEP_SECONDS,
    History,
    Point,
)
from jupyter_mig.metrics.readings import (
    Memory,
    NotAvailable,
    Readings,
    SliceReadings,
    Utilization,
)

NOTHING = NotAvailable("no")
FIVE = Memory(5, 10)


def read(
    at: float,
    *lease_ids: str | None,
    memory: Memory | NotAvailable = FIVE,
    utilization: Utilization | NotAvailable = NOTHING,
) -> Readings:
    """What was read of the slices of leases."""
    return Readings(
        at, tuple(SliceReadings(f"i{one}", one, memory, utilization, 0) for one in lease_ids)
    )


def test_a_point_is_kept_for_each_step() -> None:
    """However often slices are read."""
    history = History()
    for second in range(21):
        history.add(read(float(second), "a"))
    assert [one.taken_at_seconds for one in history.of("a", 20)] == [0, 5, 10, 15, 20]
    assert STEP_SECONDS == 5


def test_what_is_old_is_not_told_and_memory_is_bounded() -> None:
    """Days of watching hold no more than the last minutes."""
    history = History()
    for number in range(10_000):
        history.add(read(number * STEP_SECONDS, "a", "b"))
    now = 9_999 * STEP_SECONDS
    points = history.of("a", now)
    assert len(points) == MOST_POINTS
    assert points[0].taken_at_seconds == now - KEPT_SECONDS
    assert points[-1].taken_at_seconds == now
    assert history.of("a", now + KEPT_SECONDS) == points[-1:]


def test_a_lease_that_is_over_is_forgotten() -> None:
    """And what nobody holds is not kept at all."""
    history = History()
    history.add(read(0, "a", "b"))
    history.add(read(1, "b", None))
    assert history.of("a", 1) == ()
    assert len(history.of("b", 1)) == 1


@pytest.mark.parametrize(
    ("percent", "shown"),
    [({"sm": 1.0, "graphics": 2.0}, 1.0), ({"graphics": 2.0}, 2.0), ({"dram": 3.0}, None)],
)
def test_the_one_number_is_that_of_compute(percent: dict[str, float], shown: float | None) -> None:
    """SMs where they were measured, else graphics; not memory bandwidth."""
    history = History()
    history.add(read(0, "a", utilization=Utilization(percent, "GPM")))
    assert history.of("a", 0) == (Point(0, 5, shown),)


def test_a_gap_is_a_point_without_values() -> None:
    """Not a made-up one, and not one left out."""
    history = History()
    history.add(read(0, "a", memory=NOTHING))
    assert history.of("a", 0) == (Point(0, None, None),)
