"""Where to put an instance: the slice-weighted rule that keeps most room for what may come.

For an occupied mask *m* let

    cap(m) = sum over shapes p of width(p) * |{s in starts(p): the window of p at s is free in m}|

A request goes where cap falls least; among equals, to the GPU with more slices in use, then the
lowest GPU index, then the lowest start. NVML's own default placement strands capacity (1g, 1g, 2g
and then no 3g, where 3g first would fit), so the place is always ours and always explicit:
https://docs.nvidia.com/datacenter/tesla/mig-user-guide
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from operator import itemgetter

import msgspec

from jupyter_mig.core.geometry import Profile, Spec
from jupyter_mig.core.occupancy import Occupancy

Shapes = tuple[tuple[int, tuple[int, ...]], ...]


class Candidate(msgspec.Struct, frozen=True):
    """A GPU that offers the wanted profile, and what is taken on it."""

    gpu_uuid: str
    gpu_index: int
    profile: Profile
    occupancy: Occupancy


@lru_cache(maxsize=1 << 16)
def capacity(shapes: Shapes, mask: int) -> int:
    """cap(mask): 41 on an empty A100."""
    return sum(
        width * sum(1 for start in starts if not mask & (((1 << width) - 1) << start))
        for width, starts in shapes
    )


@lru_cache(maxsize=1 << 16)
def cheapest_start(
    shapes: Shapes, width: int, starts: tuple[int, ...], mask: int
) -> tuple[int, int] | None:
    """(capacity lost, start) of the best free start, or None when no start is free."""
    window = (1 << width) - 1
    here = capacity(shapes, mask)
    return min(
        (
            (here - capacity(shapes, mask | (window << start)), start)
            for start in starts
            if not mask & (window << start)
        ),
        default=None,
    )


def choose(candidates: Iterable[Candidate]) -> Spec | None:
    """The best place among the candidates, or None when nothing fits."""
    ranked = []
    starts: dict[tuple[int, int, int], tuple[int, int] | None] = {}
    for candidate in candidates:
        profile, occupancy = candidate.profile, candidate.occupancy
        # Most are alike: full, or empty.
        alike = (id(occupancy.geometry), profile.profile_id, occupancy.mask)
        if alike not in starts:
            shapes = occupancy.geometry.shapes
            starts[alike] = cheapest_start(shapes, profile.width, profile.starts, occupancy.mask)
        best = starts[alike]
        if best is not None and occupancy.within_limits(profile):
            lost, start = best
            ranked.append((lost, -occupancy.slices_in_use, candidate.gpu_index, start, candidate))
    if not ranked:
        return None
    *_, start, chosen = min(ranked, key=itemgetter(0, 1, 2, 3))
    return Spec(chosen.gpu_uuid, chosen.profile.profile_id, start)
