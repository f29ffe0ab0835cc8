"""The best that can be done on one GPU, computed: value iteration over its placements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.placement.policies import A100, SIZES, Policy
from jupyter_mig.core.geometry import Profile, Spec
from jupyter_mig.core.occupancy import Occupancy

Placement = frozenset[tuple[int, int]]
"""Instances as (profile id, start)."""


class Moves(NamedTuple):
    """What can follow a placement: for each size the placements with one more of it, and those
    after a departure.
    """

    arrivals: tuple[tuple[int, ...], ...]
    departures: tuple[int, ...]


def _mask(placement: Placement) -> int:
    return sum(A100.by_id[profile_id].window(start) for profile_id, start in placement)


def _with(placement: Placement, size: Profile) -> Iterator[Placement]:
    mask = _mask(placement)
    for start in size.starts:
        if not mask & size.window(start):
            yield placement | {(size.profile_id, start)}


def placements() -> list[Placement]:
    """Every placement of one GPU, the empty one first."""
    found: dict[Placement, None] = {frozenset(): None}
    todo: list[Placement] = [frozenset()]
    while todo:
        placement = todo.pop()
        for size in SIZES:
            for larger in _with(placement, size):
                if larger not in found:
                    found[larger] = None
                    todo.append(larger)
    return list(found)


def moves(policy: Policy | None) -> list[Moves]:
    """What can follow each placement under a policy, or, with none, under any."""
    everything = placements()
    number = {placement: index for index, placement in enumerate(everything)}

    def following(placement: Placement, size: Profile) -> tuple[int, ...]:
        if policy is None:
            return tuple(number[larger] for larger in _with(placement, size))
        gpu = Occupancy(A100, [Spec("0", profile_id, start) for profile_id, start in placement])
        spec = policy([gpu], size)
        if spec is None or spec.start is None:
            return ()
        return (number[placement | {(spec.profile_id, spec.start)}],)

    return [
        Moves(
            tuple(following(placement, size) for size in SIZES),
            tuple(number[placement - {one}] for one in placement),
        )
        for placement in everything
    ]


def best_acceptance(
    mix: Sequence[float], load: float, graph: Sequence[Moves], *, may_refuse: bool
) -> float:
    """The largest slice-weighted acceptance in percent, by relative value iteration of the
    uniformised chain, to a hundred-thousandth. ``load`` is in GPUs that the arriving slices fill.
    """
    mean = sum(share * size.width for share, size in zip(mix, SIZES, strict=True))
    rate = load * A100.units / mean
    clock = rate + max(len(each.departures) for each in graph)
    chances = [rate * share / clock for share in mix]
    worth = [0.0] * len(graph)
    while True:
        updated = [
            _one_step(here, each, worth, chances, clock, may_refuse=may_refuse)
            for here, each in enumerate(graph)
        ]
        gains = [new - old for new, old in zip(updated, worth, strict=True)]
        if max(gains) - min(gains) < 1e-7 * max(gains):
            return 100 * max(gains) * clock / (rate * mean)
        worth = [value - updated[0] for value in updated]


def _one_step(
    here: int,
    following: Moves,
    worth: Sequence[float],
    chances: Sequence[float],
    clock: float,
    *,
    may_refuse: bool,
) -> float:
    stay = worth[here]
    total, used = 0.0, 0.0
    for size, chance, larger in zip(SIZES, chances, following.arrivals, strict=True):
        values = [size.width + worth[there] for there in larger]
        if may_refuse or not values:
            values.append(stay)
        total += chance * max(values)
        used += chance
    for smaller in following.departures:
        total += worth[smaller] / clock
        used += 1 / clock
    return total + (1 - used) * stay
