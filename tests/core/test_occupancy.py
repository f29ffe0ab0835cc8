from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.core.geometry import Engines, Geometry, Spec
from jupyter_mig.core.occupancy import Occupancy
from tests.core.nodes import A100, GEOMETRIES, RTX_PRO


def at(geometry: Geometry, name: str, start: int | None) -> Spec:
    """An instance of that name there."""
    return Spec("GPU-0", geometry.by_name[name].profile_id, start)


def test_empty_rooms() -> None:
    """So many of each profile fit on an empty A100."""
    room = {p.name: Occupancy(A100).room(p) for p in A100.profiles}
    assert room == {
        "1g.5gb": 7,
        "1g.5gb+me": 1,
        "1g.10gb": 4,
        "2g.10gb": 3,
        "3g.20gb": 2,
        "4g.20gb": 1,
        "7g.40gb": 1,
    }


def test_windows_decide() -> None:
    """What is taken is not free, and asking for room changes nothing."""
    tally = Occupancy(A100, [at(A100, "3g.20gb", 4)])
    assert (tally.mask, tally.slices_in_use) == (0b11110000, 4)
    assert tally.room(A100.by_name["4g.20gb"]) == 1
    assert tally.room(A100.by_name["7g.40gb"]) == 0
    assert tally.slices_in_use == 4


def test_one_media_extension_per_gpu() -> None:
    """A second ``+me`` is refused by the profile's own limit although there is room."""
    tally = Occupancy(A100, [at(A100, "1g.5gb+me", 6)])
    assert not tally.within_limits(A100.by_name["1g.5gb+me"])
    assert tally.room(A100.by_name["1g.5gb"]) == 6


def test_media_engines_run_out() -> None:
    """``+me.all`` takes every engine: nothing that needs one fits beside it, ``-me`` does."""
    tally = Occupancy(RTX_PRO, [at(RTX_PRO, "1g.24gb+me.all", 0)])
    assert tally.engines == Engines(4, 4, 4, 1)
    assert tally.room(RTX_PRO.by_name["1g.24gb"]) == 0
    assert tally.room(RTX_PRO.by_name["2g.48gb"]) == 0
    assert tally.room(RTX_PRO.by_name["1g.24gb-me"]) == 3


def test_unknown_windows_take_all() -> None:
    """An instance of unknown start or profile may be anywhere, so nothing is offered beside it."""
    for spec in (at(A100, "1g.5gb", None), Spec("GPU-0", 999, 0)):
        assert Occupancy(A100, [spec]).room(A100.by_name["1g.5gb"]) == 0


def test_copies_are_independent() -> None:
    """What is tried on a copy leaves the original alone."""
    tally = Occupancy(A100)
    tally.copy().add(at(A100, "7g.40gb", 0))
    assert (tally.mask, sum(tally.counts.values()), tally.engines) == (0, 0, Engines())


@given(st.sampled_from(sorted(GEOMETRIES)), st.integers(0, (1 << 12) - 1), st.data())
def test_room_is_exact(name: str, mask: int, data: st.DataObject) -> None:
    """No order of filling a GPU with one profile gets more in than ``room`` says."""
    geometry = GEOMETRIES[name]
    tally = Occupancy(geometry)
    tally.block(mask & ((1 << geometry.units) - 1))
    profile = data.draw(st.sampled_from(geometry.profiles))
    promised, placed = tally.room(profile), 0
    for start in data.draw(st.permutations(profile.starts)):
        if tally.fits(profile, start):
            tally.add(Spec("GPU-0", profile.profile_id, start))
            placed += 1
    assert placed <= promised
    assert (placed > 0) == (promised > 0)
