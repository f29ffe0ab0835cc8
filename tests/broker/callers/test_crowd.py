"""How much of the door one user may take."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.broker.callers.crowd import Crowd, Pace
from jupyter_mig.errors import TooMany
from tests.broker.clocks import Clock

ALICE, BOB = 1, 2


async def test_beyond_the_connections_requests_are_refused_and_more_are_hung_up_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Those of one user, and it is logged; another one is let in."""
    caplog.set_level(logging.INFO)
    crowd = Crowd(connections=2)
    assert [crowd.enter(ALICE) for _ in range(5)] == [True] * 4 + [False]
    assert caplog.messages == [f"Refuse who={ALICE} reason=hung-up"]
    with pytest.raises(TooMany):
        await crowd.take_turn(ALICE)
    assert crowd.enter(BOB)
    await crowd.take_turn(BOB)
    crowd.leave(ALICE)
    crowd.leave(ALICE)
    await crowd.take_turn(ALICE)


@given(
    arrivals=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 3)), max_size=80),
    burst=st.integers(3, 20),
    rate=st.sampled_from([0.5, 2.0, 8.0]),
)
def test_no_stretch_of_time_sees_more_than_the_burst_and_the_pace(
    arrivals: list[tuple[float, int]], burst: int, rate: float
) -> None:
    """However they come; within the burst none is put off, and of those refused none counts."""
    clock = Clock()
    pace = Pace(rate, burst, clock)
    answered: list[tuple[float, int]] = []
    for later, count in arrivals:
        clock.now += later
        try:
            answered.append((clock.now + pace.due_in(ALICE, count), count))
        except TooMany:
            assert rate * 20 + burst < sum(count for _, count in answered) + count
        assert pace.due_in(BOB, 0) == 0
    for first, (start, _) in enumerate(answered):
        for last, (end, _) in enumerate(answered[first:], first):
            total = sum(count for _, count in answered[first : last + 1])
            assert total <= burst + 3 + rate * (end - start) + 1e-6
    if sum(count for _, count in arrivals) <= burst:
        assert [at for at, _ in answered] == pytest.approx(
            [sum(later for later, _ in arrivals[: i + 1]) for i in range(len(arrivals))]
        )


def test_users_who_have_been_gone_for_long_are_forgotten() -> None:
    """Numbers of users are cheap to come by where there are containers."""
    clock = Clock()
    pace = Pace(200.0, 1000, clock)
    for uid in range(5000):
        clock.now += 1
        pace.due_in(uid)
    assert len(pace._paid_until) <= 4097
