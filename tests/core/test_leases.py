from __future__ import annotations

from itertools import product

import pytest

from jupyter_mig.core.leases import (
    TRANSITIONS,
    USABLE,
    WITH_INSTANCE,
    Holder,
    InvalidTransition,
    Lease,
    LeaseState,
    Trigger,
)

ABSENT = [
    (state, trigger)
    for state, trigger in product(LeaseState, Trigger)
    if trigger not in TRANSITIONS[state]
]
PRESENT = [(state, trigger) for state in LeaseState for trigger in TRANSITIONS[state]]


def lease(state: LeaseState) -> Lease:
    """A lease in that state."""
    return Lease(
        "one", "kernel", 1000, Holder("s"), "1g.5gb", "", 1, 0.0, 0.0, state=state, deadline=9.0
    )


@pytest.mark.parametrize(("state", "trigger"), ABSENT)
def test_absent_ways_are_bugs(state: LeaseState, trigger: Trigger) -> None:
    """What the table does not name cannot be done, and nothing of the lease has changed."""
    it = lease(state)
    with pytest.raises(InvalidTransition) as caught:
        it.move(trigger, 5.0)
    assert (caught.value.lease_id, caught.value.state, caught.value.trigger) == (
        "one", state, trigger,
    )  # fmt: skip
    assert it == lease(state)


@pytest.mark.parametrize(("state", "trigger"), PRESENT)
def test_ways_of_the_table(state: LeaseState, trigger: Trigger) -> None:
    """A move is seen in the version, starts the clock of the new state, and ends the deadline of
    the old.
    """
    it = lease(state)
    it.move(trigger, 5.0)
    assert it.state is TRANSITIONS[state][trigger]
    assert (it.since, it.deadline, it.version) == (5.0, None, 1)


def test_every_state_ends() -> None:
    """From each state some way leads to released, and none leads out of it."""
    ending = {LeaseState.RELEASED}
    for _ in LeaseState:
        ending |= {state for state in LeaseState if ending & set(TRANSITIONS[state].values())}
    assert ending == set(LeaseState)
    assert not TRANSITIONS[LeaseState.RELEASED]


def test_usable_leases_have_an_instance() -> None:
    """Who may use a slice has one."""
    assert USABLE < WITH_INSTANCE
