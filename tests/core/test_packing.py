from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.core import packing
from jupyter_mig.core.geometry import Geometry, Spec
from jupyter_mig.core.occupancy import Occupancy
from jupyter_mig.core.packing import Bin, pack
from tests.core.nodes import A30, A100, GEOMETRIES


@st.composite
def legal_mixes(draw: st.DrawFn, geometry: Geometry) -> list[Spec]:
    """Instances that fit on one empty GPU: placed one by one until the draw ends or it is full."""
    tally, specs = Occupancy(geometry), list[Spec]()
    for _ in range(draw(st.integers(0, geometry.units))):
        fitting = [
            Spec("", profile.profile_id, start)
            for profile in geometry.profiles
            for start in profile.starts
            if tally.fits(profile, start)
        ]
        if not fitting:
            break
        specs.append(draw(st.sampled_from(fitting)))
        tally.add(specs[-1])
    return specs


@st.composite
def unions_of_legal_mixes(draw: st.DrawFn) -> tuple[list[Geometry], Counter[str]]:
    """Up to eight GPUs, and the sizes of something that fits on them."""
    geometries = draw(st.lists(st.sampled_from(list(GEOMETRIES.values())), min_size=1, max_size=8))
    wanted = Counter(
        geometry.by_id[spec.profile_id].name
        for geometry in geometries
        for spec in draw(legal_mixes(geometry))
    )
    return geometries, wanted


def bins(*geometries: Geometry) -> list[Bin]:
    """Empty GPUs."""
    return [Bin(f"GPU-{index}", Occupancy(one)) for index, one in enumerate(geometries)]


def assert_packed(gpus: list[Bin], wanted: Counter[str], placed: dict[str, list[Spec]]) -> None:
    """What was wanted, each where there is room."""
    tables = {gpu.gpu_uuid: gpu.occupancy.copy() for gpu in gpus}
    for name, specs in placed.items():
        assert len(specs) == wanted[name]
        for spec in specs:
            tally = tables[spec.gpu_uuid]
            profile = tally.geometry.by_id[spec.profile_id]
            assert profile.name == name
            assert spec.start is not None
            assert spec.start in profile.starts
            assert tally.fits(profile, spec.start)
            tally.add(spec)
    assert placed.keys() == wanted.keys()


@given(unions_of_legal_mixes())
def test_what_fits_is_packed(node: tuple[list[Geometry], Counter[str]]) -> None:
    """Every union of legal mixes, one for each GPU, is found to fit on the empty node."""
    geometries, wanted = node
    gpus = bins(*geometries)
    placed = pack(gpus, wanted)
    assert placed is not None
    assert_packed(gpus, wanted, placed)
    assert pack(gpus, wanted) == placed


@given(st.data(), st.sampled_from(sorted(GEOMETRIES)))
def test_what_is_there_stays(data: st.DataObject, model: str) -> None:
    """Around what is taken already, the rest of a legal mix is packed."""
    geometry = GEOMETRIES[model]
    specs = data.draw(legal_mixes(geometry))
    there = data.draw(st.integers(0, len(specs)))
    gpus = [Bin("GPU-0", Occupancy(geometry, specs[:there]))]
    wanted = Counter(geometry.by_id[spec.profile_id].name for spec in specs[there:])
    placed = pack(gpus, wanted)
    assert placed is not None
    assert_packed(gpus, wanted, placed)


@pytest.mark.parametrize(
    ("geometries", "wanted"),
    [
        ([A100], {"1g.5gb": 8}),
        ([A100], {"4g.20gb": 2}),
        ([A100], {"1g.5gb+me": 2}),
        ([A100], {"7g.40gb": 1, "1g.5gb": 1}),
        ([A100, A100], {"3g.20gb": 2, "2g.10gb": 2, "1g.5gb": 4, "1g.5gb+me": 1}),
        ([A100], {"1g.6gb": 1}),
        ([A30, A100], {"1g.6gb": 5}),
        ([], {"1g.5gb": 1}),
    ],
)
def test_what_does_not_fit_is_not_packed(
    geometries: list[Geometry], wanted: dict[str, int]
) -> None:
    """Too wide, no such window, a limit, a size that is not there, no GPU."""
    assert pack(bins(*geometries), wanted) is None


def test_nothing_is_packed_nowhere() -> None:
    """An empty batch fits."""
    assert pack([], {}) == {}
    assert pack(bins(A100), {}) == {}


def test_a_search_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many steps nothing was found, whatever there is to find."""
    wanted = {"3g.20gb": 2, "2g.10gb": 2, "1g.5gb": 4}
    assert pack(bins(A100, A100), wanted) is not None
    monkeypatch.setattr(packing, "MOST_STEPS", 1)
    assert pack(bins(A100, A100), wanted) is None
