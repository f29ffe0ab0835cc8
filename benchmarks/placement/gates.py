"""The gates of the placement rule."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.placement import symmetry
from benchmarks.placement.optimum import best_acceptance, moves
from benchmarks.placement.policies import POLICIES, ours
from benchmarks.placement.replay import MIXES, Outcome, Workload, replay, requests_of

MANY = ("first-fit", "best-fit", "spread", "ours", "repacking")
ONE = ("driver", "ours")


class Gate(NamedTuple):
    """One measured figure and its bar; ``at_most`` tells which side is good."""

    name: str
    value: float
    bar: float
    at_most: bool = True

    @property
    def passed(self) -> bool:
        """Whether the figure is on the good side."""
        return self.value <= self.bar if self.at_most else self.value >= self.bar

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        return (
            f"{'PASS' if self.passed else 'FAIL'}  {self.name}: {self.value:.3f} {sign} {self.bar}"
        )


def outcomes(workload: Workload, gpus: int, names: tuple[str, ...]) -> dict[str, Outcome]:
    """What the named policies make of the same requests."""
    requests = requests_of(workload, gpus)
    return {name: replay(requests, gpus, POLICIES.get(name)) for name in names}


def gates_for_many(mix: str, gpus: int, found: dict[str, Outcome]) -> list[Gate]:
    """(a) few avoidable rejections, (b) at least the acceptance of best-fit."""
    first, spread = (0.92, 0.65) if gpus < 100 else (0.75, 0.12)
    mine = found["ours"]
    where = f"N={gpus} {mix}"
    return [
        Gate(
            f"(a) {where}: avoidable / first-fit's",
            mine.avoidable_rejections / found["first-fit"].avoidable_rejections,
            first,
        ),
        Gate(
            f"(a) {where}: avoidable / spread's",
            mine.avoidable_rejections / found["spread"].avoidable_rejections,
            spread,
        ),
        Gate(
            f"(b) {where}: accepted - best-fit's",
            mine.accepted_slices - found["best-fit"].accepted_slices,
            0.0,
            at_most=False,
        ),
    ]


class Exact(NamedTuple):
    """Acceptance on one GPU, computed: ours, the best choice of places, and the best of all, which
    may also turn away what would fit.
    """

    ours: float
    best_places: float
    may_refuse: float


def exact(workload: Workload) -> Exact:
    """The computed figures for one GPU."""
    mix, load, any_place = MIXES[workload.mix], workload.load, moves(None)
    return Exact(
        best_acceptance(mix, load, moves(ours), may_refuse=False),
        best_acceptance(mix, load, any_place, may_refuse=False),
        best_acceptance(mix, load, any_place, may_refuse=True),
    )


def gates_for_one(mix: str, found: dict[str, Outcome], computed: Exact) -> list[Gate]:
    """(b) not worse than the driver's default, (c) near the computed optimum."""
    over_driver = found["ours"].accepted_slices - found["driver"].accepted_slices
    behind = computed.best_places - computed.ours
    return [
        Gate(f"(b) N=1 {mix}: accepted - driver's", over_driver, -0.3, at_most=False),
        Gate(f"(c) N=1 {mix}: best places - ours", behind, 1.1),
    ]


def best_of_two(workload: Workload) -> float:
    """Acceptance on two GPUs with the best choice of places, computed; takes a minute or two."""
    mix, load = MIXES[workload.mix], 2 * workload.load
    return best_acceptance(mix, load, symmetry.moves(2), may_refuse=False)


def gate_for_two(mix: str, mine: Outcome, best: float) -> Gate:
    """(c) near the computed optimum; ours is replayed, so with chance in it."""
    return Gate(f"(c) N=2 {mix}: best places - ours", best - mine.accepted_slices, 1.1)
