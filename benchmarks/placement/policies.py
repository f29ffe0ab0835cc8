"""The policies compared, and the GPU they place slices on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jupyter_mig.core.geometry import Geometry, Profile, Spec
from jupyter_mig.core.occupancy import Occupancy
from jupyter_mig.core.placement import Candidate, choose

GIB = 1 << 30
A100 = Geometry(
    (
        Profile(19, "1g", 5 * GIB, 14, 1, 7, 1, (0, 1, 2, 3, 4, 5, 6)),
        Profile(15, "1g+", 10 * GIB, 14, 1, 4, 2, (0, 2, 4, 6)),
        Profile(14, "2g", 10 * GIB, 28, 2, 3, 2, (0, 2, 4)),
        Profile(9, "3g", 20 * GIB, 42, 3, 2, 4, (0, 4)),
        Profile(5, "4g", 20 * GIB, 56, 4, 1, 4, (0,)),
        Profile(0, "7g", 40 * GIB, 98, 7, 1, 8, (0,)),
    )
)
SIZES = A100.profiles

Node = Sequence[Occupancy]
Policy = Callable[[Node, Profile], Spec | None]


def _lowest_free(gpu: Occupancy, profile: Profile) -> int | None:
    return next((start for start in profile.starts if gpu.fits(profile, start)), None)


def _lowest_start_on(order: Callable[[int, Occupancy], tuple[int, ...]]) -> Policy:
    """The first GPU in that order with a free window, and there the lowest start."""

    def policy(node: Node, profile: Profile) -> Spec | None:
        for _, index in sorted((order(index, gpu), index) for index, gpu in enumerate(node)):
            start = _lowest_free(node[index], profile)
            if start is not None:
                return Spec(str(index), profile.profile_id, start)
        return None

    return policy


def _pairs_left(mask: int) -> int:
    """How many (profile, start) pairs are still free."""
    return sum(not mask & size.window(start) for size in SIZES for start in size.starts)


def drivers_default(node: Node, profile: Profile) -> Spec | None:
    """NVML's own choice, as far as documented sequences tell it: leave the most pairs free, the
    lowest start among equals. Of several GPUs, the first that has room.
    """
    for index, gpu in enumerate(node):
        free = [start for start in profile.starts if gpu.fits(profile, start)]
        if free:
            best = max(
                free, key=lambda start: (_pairs_left(gpu.mask | profile.window(start)), -start)
            )
            return Spec(str(index), profile.profile_id, best)
    return None


def ours(node: Node, profile: Profile) -> Spec | None:
    """The rule of jupyter_mig."""
    return choose(Candidate(str(index), index, profile, gpu) for index, gpu in enumerate(node))


POLICIES: dict[str, Policy] = {
    "first-fit": _lowest_start_on(lambda index, _: (index,)),
    "best-fit": _lowest_start_on(lambda index, gpu: (-gpu.slices_in_use, index)),
    "spread": _lowest_start_on(lambda index, gpu: (gpu.slices_in_use, index)),
    "driver": drivers_default,
    "ours": ours,
}
