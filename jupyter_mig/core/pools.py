"""Pools: instances that are made before anybody asks, for whoever asks first.

They are filled while nobody waits for room. Who needs their room has them cleared away, as warm
ones are. A slice that was used does not come back into its pool: the next user gets a fresh one.
"""

from __future__ import annotations

from jupyter_mig.core import quotas, supply
from jupyter_mig.core.actions import CreateInstance
from jupyter_mig.core.line import planned
from jupyter_mig.core.state import Place, PlaceState, State
from jupyter_mig.core.turn import Turn

NOBODY = 0
"""Root: the device nodes of an instance that is nobody's are closed to all users."""


def fill(turn: Turn) -> None:
    """Make what is missing where there is room, and destroy what is too much."""
    wanted = {_profile(turn, size): count for size, count in turn.rules.pools.items()}
    _thin_out(turn, wanted)
    if not wanted or turn.state.pools_at is not None or _is_room_wanted(turn):
        return
    for name, count in wanted.items():
        missing = count - sum(place.profile_name == name for place in _pooled(turn.state))
        while name and missing > 0 and _make(turn, name):
            missing -= 1


def _profile(turn: Turn, size: str) -> str:
    """The smallest that satisfies the size; empty where there is none."""
    return next(iter(supply.wanted(turn.state, turn.rules, size)), "")


def _is_room_wanted(turn: Turn) -> bool:
    return quotas.anybody_may(turn.state, turn.rules, turn.state.index.waiting.values())


def _pooled(state: State) -> list[Place]:
    """Instances that are in a pool, or being made for one."""
    return [place for place in state.apart() if place.pooled]


def _thin_out(turn: Turn, wanted: dict[str, int]) -> None:
    """After a change of the configuration, or where nothing is to be started any more."""
    kept: dict[str, int] = {}
    for place in _pooled(turn.state):
        number = kept[place.profile_name] = kept.get(place.profile_name, 0) + 1
        needless = number > wanted.get(place.profile_name, 0) or turn.state.is_drained(place)
        if place.state is PlaceState.IDLE and needless:
            turn.destroy(place)


def _make(turn: Turn, name: str) -> bool:
    possible = supply.candidates(turn.state, name, supply.NOTHING)
    spec = turn.choices.take(f"pool {name}", possible)
    if spec is None:
        return False
    place = planned(turn, spec, pooled=True)
    turn.do(CreateInstance(place.instance_id, spec, NOBODY))
    return True
