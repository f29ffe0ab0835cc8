"""How much of the door one user may take."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.broker.crowd import Crowd
from jupyter_mig.errors import TooMany

ALICE, BOB = 1, 2


class Clock:
    """A clock that stands still unless told."""

    now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def test_beyond_the_connections_requests_are_refused_and_more_are_hung_up_on() -> None:
    """Those of one user; another one is let in."""
    crowd = Crowd(connections=2)
    assert [crowd.enter(ALICE) for _ in range(5)] == [True] * 4 + [False]
    with pytest.raises(TooMany):
        asyncio.run(crowd.take_turn(ALICE))
    assert crowd.enter(BOB)
    asyncio.run(crowd.take_turn(BOB))
    crowd.leave(ALICE)
    crowd.leave(ALICE)
    asyncio.run(crowd.take_turn(ALICE))


@given(
    arrivals=st.lists(st.floats(0, 3), max_size=80),
    burst=st.integers(1, 20),
    rate=st.sampled_from([0.5, 2.0, 8.0]),
)
def test_no_stretch_of_time_sees_more_than_the_burst_and_the_pace(
    arrivals: list[float], burst: int, rate: float
) -> None:
    """However the requests of a user come, and none is put off that need not be."""
    clock = Clock()
    crowd = Crowd(requests_per_second=rate, burst=burst, clock=clock)
    answered = []
    for later in arrivals:
        clock.now += later
        answered.append(clock.now + crowd.due_in(ALICE))
        assert crowd.due_in(BOB) >= 0
    for first, start in enumerate(answered):
        for last, end in enumerate(answered[first:], first):
            assert last - first + 1 <= burst + 1 + rate * (end - start) + 1e-6
    if len(arrivals) <= burst:
        assert answered == pytest.approx(
            [1000.0 + sum(arrivals[: i + 1]) for i in range(len(answered))]
        )


def test_users_who_have_been_gone_for_long_are_forgotten() -> None:
    """Numbers of users are cheap to come by where there are containers."""
    clock = Clock()
    crowd = Crowd(clock=clock)
    for uid in range(5000):
        clock.now += 1
        crowd.due_in(uid)
    assert len(crowd._paid_until) <= 4097
