"""Sets of CPUs as Linux writes them: ``0-15,64-79`` (cpuset(7), "List format")."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 8192
"""No Linux has more CPUs. A list that names others is no list of CPUs."""


def parse(text: str) -> frozenset[int]:
    """The CPUs of a list, which may be empty. Raises ValueError for anything else."""
    found: set[int] = set()
    for run in filter(None, text.strip().split(",")):
        first, dash, last = run.partition("-")
        low = int(first)
        high = int(last) if dash else low
        if not 0 <= low <= high < MOST:
            raise ValueError(f"{run} is no run of CPUs")
        found.update(range(low, high + 1))
    return frozenset(found)


def listed(cpus: Iterable[int]) -> str:
    """The list of those CPUs, the shortest there is."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and runs[-1][1] == cpu - 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
