from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import combinations_with_replacement, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.placement.replay import fits_after_repacking
from jupyter_mig.core.geometry import Geometry, Spec
from jupyter_mig.core.occupancy import Occupancy
from jupyter_mig.core.placement import Candidate, capacity, choose
from tests.core.nodes import A30, A100, GEOMETRIES, RTX_PRO


def place(gpus: list[Occupancy], name: str) -> Spec | None:
    """Choose a place for one instance and take it."""
    spec = choose(
        Candidate(f"GPU-{index}", index, gpu.geometry.by_name[name], gpu)
        for index, gpu in enumerate(gpus)
        if name in gpu.geometry.by_name
    )
    if spec is not None:
        gpus[int(spec.gpu_uuid[4:])].add(spec)
    return spec


def starts(geometry: Geometry, *names: str) -> list[int | None]:
    """Where these go one after the other on an empty GPU; None for what does not fit."""
    gpu = [Occupancy(geometry)]
    return [spec.start if (spec := place(gpu, name)) else None for name in names]


def test_check_values() -> None:
    """The figures that the rule was published with."""
    assert capacity(A100.shapes, 0) == 41
    assert [
        starts(A100, name) for name in ("1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb")
    ] == [[6], [4], [4], [0], [0]]


@pytest.mark.parametrize(
    ("geometry", "names"),
    [
        (A100, ["1g.5gb"] * 7),
        (A100, ["3g.20gb"] * 2),
        (A100, ["2g.10gb"] * 3 + ["1g.5gb"]),
        (A100, ["1g.10gb"] * 4),
        (A100, ["4g.20gb", "3g.20gb"]),
        (A30, ["1g.6gb"] * 4),
        (A30, ["2g.12gb", "1g.6gb", "1g.6gb"]),
        (A30, ["1g.6gb+me", "1g.6gb", "2g.12gb"]),
        (RTX_PRO, ["1g.24gb"] * 4),
        (RTX_PRO, ["1g.24gb", "2g.48gb", "1g.24gb"]),
        (RTX_PRO, ["1g.24gb+me.all", "1g.24gb-me", "1g.24gb-me", "1g.24gb-me"]),
    ],
)
def test_mixes_that_fill_a_gpu(geometry: Geometry, names: list[str]) -> None:
    """Each mix fits one GPU in the order given."""
    assert None not in starts(geometry, *names)


@pytest.mark.parametrize(
    ("geometry", "names"),
    [
        (A100, ["1g.5gb+me", "1g.5gb+me"]),
        (RTX_PRO, ["1g.24gb+me.all", "1g.24gb"]),
        (A30, ["4g.24gb", "1g.6gb"]),
    ],
)
def test_mixes_beyond_a_limit(geometry: Geometry, names: list[str]) -> None:
    """The last of each does not fit: its own limit, the media engines, the windows."""
    assert starts(geometry, *names)[-1] is None


def test_fuller_gpus_first() -> None:
    """Among places that cost the same capacity, a GPU in use is preferred, then the lowest."""
    gpus = [Occupancy(A100), Occupancy(A100), Occupancy(A100), Occupancy(A100)]
    for index, name in ((1, "1g.5gb"), (2, "1g.10gb")):
        gpus[index].add(Spec(f"GPU-{index}", A100.by_name[name].profile_id, 4))
    chosen = [place(gpus, "4g.20gb") for _ in range(4)]
    assert [spec.gpu_uuid for spec in chosen if spec] == ["GPU-2", "GPU-1", "GPU-0", "GPU-3"]


@given(st.sampled_from(sorted(GEOMETRIES)), st.data())
def test_what_is_chosen_fits(name: str, data: st.DataObject) -> None:
    """A place is found exactly if there is one, and it is free and among the profile's starts."""
    geometry = GEOMETRIES[name]
    gpu = Occupancy(geometry)
    for profile in data.draw(st.lists(st.sampled_from(geometry.profiles), max_size=12)):
        possible: list[int | None] = [start for start in profile.starts if gpu.fits(profile, start)]
        chosen = choose([Candidate("GPU-0", 0, profile, gpu)])
        assert (chosen.start if chosen else None) in (possible or [None])
        if chosen is not None:
            gpu.add(chosen)


def test_batch_of_four_in_any_order() -> None:
    """3g, 2g, 1g, 1g planned as one batch, largest first, always fit an empty GPU."""
    for order in set(permutations(["3g.20gb", "2g.10gb", "1g.5gb", "1g.5gb"])):
        largest_first = sorted(order, key=lambda name: -A100.by_name[name].width)
        assert None not in starts(A100, *largest_first)


NAMES = ["7g.40gb", "4g.20gb", "3g.20gb", "2g.10gb", "1g.10gb", "1g.5gb"]


@cache
def brute_force(names: tuple[str, ...], mask: int = 0) -> bool:
    """Whether all of these fit one GPU somehow, by trying every start of each in turn."""
    if not names:
        return True
    profile = A100.by_name[names[0]]
    return any(
        brute_force(names[1:], mask | profile.window(start))
        for start in profile.starts
        if not mask & profile.window(start)
    )


def test_feasibility_formula() -> None:
    """The formula for full repacking agrees with trying everything, for all mixes up to eight."""
    for count in range(1, 9):
        for names in combinations_with_replacement(NAMES, count):
            counts = Counter(names)
            formula = fits_after_repacking([counts[name] for name in reversed(NAMES)], gpus=1)
            assert formula == brute_force(names), names
