"""The gates of the placement rule, reduced: fewer arrivals, one size of node, one seed. The full
ones: ``python -m benchmarks.placement``.
"""

from __future__ import annotations

import pytest

from benchmarks.placement import symmetry
from benchmarks.placement.gates import MANY, gates_for_many, outcomes
from benchmarks.placement.optimum import best_acceptance, moves, placements
from benchmarks.placement.policies import A100, drivers_default
from benchmarks.placement.replay import MIXES, Workload
from jupyter_mig.core.occupancy import Occupancy


@pytest.mark.parametrize("mix", MIXES)
def test_gates_at_eight_gpus(mix: str) -> None:
    """Few avoidable rejections beside first-fit and spread, no less accepted than by best-fit."""
    found = outcomes(Workload(mix, load=0.85, arrivals=8_000, seed=1), 8, MANY)
    assert [str(gate) for gate in gates_for_many(mix, 8, found) if not gate.passed] == []
    assert found["repacking"].avoidable_rejections == 0
    assert found["repacking"].accepted_slices > found["ours"].accepted_slices


@pytest.mark.parametrize(
    ("ids", "starts"),
    [
        ([19] * 7, [6, 4, 5, 0, 1, 2, 3]),
        ([14] * 3, [4, 0, 2]),
        ([9, 9], [4, 0]),
        ([19, 14, 5], [6, 4, 0]),
        ([9, 19, 14, 19], [4, 0, 2, 1]),
        ([19, 19, 14, 9], [6, 4, 0, None]),
    ],
)
def test_the_drivers_default_is_told_as_documented(ids: list[int], starts: list[int]) -> None:
    """What we compare with reproduces the documented sequences of profile ids."""
    gpu = Occupancy(A100)
    placed = []
    for profile_id in ids:
        spec = drivers_default([gpu], A100.by_id[profile_id])
        placed.append(spec.start if spec else None)
        if spec:
            gpu.add(spec)
    assert placed == starts


def test_the_optimum_is_over_all_placements() -> None:
    """The computed optimum ranges over every placement there is."""
    assert len(placements()) == 723


def test_counting_what_is_alike_as_one_changes_nothing() -> None:
    """The optimum over 144 states is that over 723 placements; so it is for two GPUs, too."""
    alike = symmetry.moves(1)
    assert len(alike) == 144
    found, known = (
        best_acceptance(MIXES["uniform"], 0.85, graph, may_refuse=False)
        for graph in (alike, moves(None))
    )
    assert found == pytest.approx(known, abs=1e-4)
