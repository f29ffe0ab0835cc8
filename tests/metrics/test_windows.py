"""From one look at the counters to the next."""

from __future__ import annotations

import pytest

from jupyter_mig.errors import GpuLost, NotFound
from jupyter_mig.metrics.readings import NotAvailable, Utilization
from jupyter_mig.metrics.subjects import Slice
from jupyter_mig.metrics.windows import (
    ANEW,
    FIRST_LOOK,
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    Windows,
)
from tests.metrics.meters import LOST, Clock, Meter, leased

HALF = Utilization({"sm": 50.0, "graphics": 60.0}, "GPM")


class Room:
    """Windows with a clock and a meter to set."""

    def __init__(self) -> None:
        self.meter, self.clock = Meter(), Clock()
        self.windows = Windows(self.meter, self.clock)

    def look(self, one: Slice, after: float = 0) -> Utilization | NotAvailable:
        """Look at a slice, so many seconds later."""
        self.clock.now += after
        assert one.identity is not None
        return self.windows.utilization(one, one.identity)


def test_two_looks_make_a_result() -> None:
    """The first has none; each later one is measured against the one before."""
    room = Room()
    assert room.look(leased()) == FIRST_LOOK
    assert room.look(leased(), after=1) == HALF
    room.meter.percent = {"sm": 10.0}
    assert room.look(leased(), after=15) == Utilization({"sm": 10.0}, "GPM")
    assert list(room.meter.kept) == [3]


def test_looks_too_close_share_a_result() -> None:
    """The driver is not asked for a window shorter than it can measure."""
    room = Room()
    room.look(leased())
    room.look(leased(), after=1)
    room.meter.percent = {"sm": 10.0}
    asked = room.meter.asked
    assert room.look(leased(), after=SHORTEST_SECONDS / 2) == HALF
    assert room.meter.asked == asked


def test_a_window_that_is_too_long_says_nothing_about_now() -> None:
    """It begins anew."""
    room = Room()
    room.look(leased())
    assert room.look(leased(), after=LONGEST_SECONDS + 1) == FIRST_LOOK
    assert room.look(leased(), after=1) == HALF


@pytest.mark.parametrize(
    "other", [leased(lease_id="next"), leased(lease_id=None), leased(name="made anew")]
)
def test_windows_of_two_lives_are_not_mixed(other: Slice) -> None:
    """Same GPU instance id, same UUID; another tenant, none, or another instance."""
    room = Room()
    room.look(leased())
    assert room.look(other, after=1) == FIRST_LOOK
    assert room.look(other, after=1) == HALF
    assert len(room.meter.kept) == 2
    room.windows.keep_only({other.life})
    assert len(room.meter.kept) == 1
    assert room.look(leased(), after=1) == FIRST_LOOK


def test_an_instance_made_anew_behind_our_back_is_told() -> None:
    """By the driver: it says so, and the next look is measured against this one."""
    room = Room()
    room.look(leased())

    def made_anew() -> None:
        raise NotFound("anew")

    room.meter.between = made_anew
    assert room.look(leased(), after=1) == ANEW
    room.meter.between = lambda: None
    assert room.look(leased(), after=1) == HALF


def test_an_error_leaves_no_counters_behind() -> None:
    """Neither while measuring nor while looking; after it, things go on."""
    room = Room()
    room.look(leased())

    def lost() -> None:
        raise GpuLost("GPU is lost")

    room.meter.between = lost
    with pytest.raises(GpuLost):
        room.look(leased(), after=1)
    assert len(room.meter.kept) == 1
    with pytest.raises(GpuLost):
        room.look(leased(LOST))
    assert len(room.meter.kept) == 1


@pytest.mark.parametrize(
    ("percent", "kept"),
    [
        ({"sm": -1.0, "graphics": 5.0}, {"graphics": 5.0}),
        ({"sm": 0.0, "dram": 100.0, "tensor": float("nan")}, {"sm": 0.0, "dram": 100.0}),
        ({"sm": 100.1}, None),
        ({"sm": float("inf")}, None),
        ({}, None),
    ],
)
def test_nonsense_is_left_out(percent: dict[str, float], kept: dict[str, float] | None) -> None:
    """What is left is told; if nothing is, why."""
    room = Room()
    room.meter.percent = percent
    room.look(leased())
    result = room.look(leased(), after=1)
    if kept is None:
        assert isinstance(result, NotAvailable)
        assert result.reason.startswith("GPM ")
    else:
        assert result == Utilization(kept, "GPM")
