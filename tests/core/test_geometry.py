from __future__ import annotations

import pytest

from jupyter_mig.core.geometry import Engines, Geometry, Identity, Profile, Spec
from tests.core.nodes import A30, A100, RTX_PRO

A100_WITHOUT_DOUBLE = Geometry(tuple(p for p in A100.profiles if p.name != "1g.10gb"))


def plain(geometry: Geometry) -> tuple[Profile, ...]:
    """The profiles without variants: those whose placements NVIDIA's guide lists."""
    return tuple(profile for profile in geometry.profiles if "+" not in profile.name)


Placement = frozenset[tuple[str, int]]


def successors(geometry: Geometry, placement: Placement) -> list[Placement]:
    """Every placement with one instance more."""
    taken = 0
    for name, start in placement:
        taken |= geometry.by_name[name].window(start)
    return [
        placement | {(profile.name, start)}
        for profile in plain(geometry)
        for start in profile.starts
        if not taken & profile.window(start)
    ]


def enumerate_placements(geometry: Geometry) -> tuple[set[Placement], set[Placement]]:
    """All placements that can be reached from an empty GPU, and those among them that are full."""
    reached: set[Placement] = set()
    full: set[Placement] = set()
    todo: list[Placement] = [frozenset()]
    while todo:
        placement = todo.pop()
        if placement not in reached:
            reached.add(placement)
            following = successors(geometry, placement)
            todo += following
            if not following:
                full.add(placement)
    return reached, full


@pytest.mark.parametrize(
    ("geometry", "reached", "full"),
    [(A100, 723, 78), (A100_WITHOUT_DOUBLE, 298, 19), (A30, 26, 5)],
    ids=["A100", "A100 without 1g.10gb", "A30"],
)
def test_enumeration(geometry: Geometry, reached: int, full: int) -> None:
    """The profiles span exactly the placements that were counted for the GPU model."""
    placements, maximal = enumerate_placements(geometry)
    assert (len(placements), len(maximal)) == (reached, full)


def test_maximal_placements_as_multisets() -> None:
    """The 78 maximal placements of an A100 are 38 different sets of sizes."""
    _, maximal = enumerate_placements(A100)
    assert len({tuple(sorted(name for name, _ in placement)) for placement in maximal}) == 38


@pytest.mark.parametrize(("geometry", "units"), [(A30, 4), (A100, 8), (RTX_PRO, 12)])
def test_units_are_read_off_the_profiles(geometry: Geometry, units: int) -> None:
    """How many memory slices a GPU has is nowhere written down but follows from its profiles."""
    assert geometry.units == units


def test_no_placements_known() -> None:
    """An unprivileged reader learns no starts: no units, no shapes, no window, and no error."""
    blind = Geometry((Profile(19, "1g.5gb", 1, 14, 1, 7),))
    assert (blind.units, blind.shapes) == (0, ())
    assert blind.window(Spec("GPU-0", 19)) is None


def test_window_of_a_spec() -> None:
    """A window is known if the profile is, and the start."""
    assert A100.window(Spec("GPU-0", 9, 4)) == 0b11110000
    assert A100.window(Spec("GPU-0", 9)) is None
    assert A100.window(Spec("GPU-0", 999, 4)) is None


def test_variants_share_a_shape() -> None:
    """Profiles that differ in media engines alone count once."""
    assert len(A100.shapes) == len(A100.profiles) - 1
    assert len(RTX_PRO.shapes) == 3


def test_engines_of_the_whole_gpu_are_the_stock() -> None:
    """The whole-GPU profile has all media engines."""
    assert A100.engines == Engines(5, 0, 1, 1)
    assert Engines(2).within(A100.engines)
    assert not (Engines(3) + Engines(3)).within(A100.engines)


@pytest.mark.parametrize(
    ("identity", "whole"),
    [(Identity(1, 0, "MIG-1"), True), (Identity(1), False), (Identity(1, 0), False)],
)
def test_whole(identity: Identity, whole: bool) -> None:
    """Without a compute instance there is no MIG device, and CUDA cannot use the instance."""
    assert identity.whole is whole
