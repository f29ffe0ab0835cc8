"""How good the placement rule is, against what others do and against what is possible.

Requests for slices arrive at random, hold their slice for a random time, and are lost if there is
no place (Poisson, exponential; load = arriving slices per slice there is). Every policy sees the
same arrivals and the same holding times. Printed for each: the accepted share, weighted by slices,
and the avoidable rejections: requests lost although all would fit if everything could be moved.

For one GPU the optimum is computed, not simulated: value iteration over its 723 placements. The
gate compares with the best choice of places. A policy that also turns away requests that would fit
can do better still; its figure is printed too, but nobody wants to be told no beside a free slice.
With ``--two`` the optimum for two GPUs is computed as well, in minutes, and compared with ours over
ten times the arrivals.

Moving idle kernels (gate d) is not built and not measured. All of this is arithmetic: no GPU is
involved, simulated or real. Exit code 1 if a gate fails.

    python -m benchmarks.placement [--seed 1] [--arrivals 40000] [--load 0.85] [--two]
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.placement.gates import (
    MANY,
    ONE,
    Gate,
    best_of_two,
    exact,
    gate_for_two,
    gates_for_many,
    gates_for_one,
    outcomes,
)
from benchmarks.placement.replay import MIXES, Outcome, Workload


def table(mix: str, gpus: int, found: dict[str, Outcome]) -> None:
    """Print one line for each policy."""
    for name, outcome in found.items():
        print(
            f"N={gpus:<4} {mix:10}  {name:10}  {outcome.accepted_slices:6.2f}"
            f"  {outcome.avoidable_rejections:6.2f}"
        )


def run(load: float, arrivals: int, seed: int) -> list[Gate]:
    """All gates, while the figures are printed."""
    gates: list[Gate] = []
    print(f"load {load}, {arrivals} arrivals, seed {seed}; computed, no GPU involved")
    print("GPUs   mix         policy      accepted slices %  avoidable rejections %")
    for mix in MIXES:
        workload = Workload(mix, load, arrivals, seed)
        found = outcomes(workload, 1, ONE)
        computed = exact(workload)
        table(mix, 1, found)
        for name, value in computed._asdict().items():
            print(f"N=1    {mix:10}  {name:10}  {value:6.2f}  exact")
        gates += gates_for_one(mix, found, computed)
        for gpus in (8, 100):
            found = outcomes(workload, gpus, MANY)
            table(mix, gpus, found)
            gates += gates_for_many(mix, gpus, found)
    return gates


def run_two(load: float, arrivals: int, seed: int) -> list[Gate]:
    """The gates for two GPUs, while the figures are printed."""
    gates: list[Gate] = []
    for mix in MIXES:
        workload = Workload(mix, load, 10 * arrivals, seed)
        mine, best = outcomes(workload, 2, ("ours",)), best_of_two(workload)
        table(mix, 2, mine)
        print(f"N=2    {mix:10}  best_places {best:6.2f}  exact", flush=True)
        gates.append(gate_for_two(mix, mine["ours"], best))
    return gates


def main() -> int:
    """Print the table and the gates; the exit code says whether all passed."""
    parser = argparse.ArgumentParser(description="Replay the placement rule against others.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--arrivals", type=int, default=40_000)
    parser.add_argument("--load", type=float, default=0.85)
    parser.add_argument("--two", action="store_true", help="the optimum for two GPUs too")
    arguments = parser.parse_args()
    given = (arguments.load, arguments.arrivals, arguments.seed)
    gates = run(*given) + (run_two(*given) if arguments.two else [])
    print("\n".join(map(str, gates)))
    return 0 if all(gate.passed for gate in gates) else 1


if __name__ == "__main__":
    sys.exit(main())
