"""Packing a whole batch: how many of each size each GPU takes, so that all of them fit.

Placing one after the other can miss an arrangement that exists: two A100 hold twice (3g, 2g, 1g,
1g), but only with a 3g on each of them. So the search goes over GPUs, not over requests: for each
GPU over its *fillings* (what it could take at most), with what is then still left to place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from operator import add, gt, mul, sub
from typing import NamedTuple

from jupyter_mig.core.geometry import Engines, Geometry, Profile, Spec
from jupyter_mig.core.occupancy import Occupancy
from jupyter_mig.core.placement import capacity

MOST_STEPS = 4_000
"""How many (GPU, what is left) pairs are looked at, at most, before the search gives up: so many
take a fifth of a second or less.
"""

Counts = tuple[int, ...]
"""How many of each size, in the order of the sizes that are wanted."""


class Bin(NamedTuple):
    """One GPU and what is taken on it."""

    gpu_uuid: str
    occupancy: Occupancy


class Filling(NamedTuple):
    """Something a GPU could take: counts, and a start for each single one, as (size, start)."""

    counts: Counts
    places: tuple[tuple[int, int], ...]


def pack(bins: Sequence[Bin], wanted: Mapping[str, int]) -> dict[str, list[Spec]] | None:
    """A place for each wanted instance, by size; None if there are none or none were found.

    ``wanted`` is how many of each profile, by name. The GPUs are filled in the order given.
    """
    names, left = tuple(wanted), tuple(wanted.values())
    weights = _weights(bins, names)
    if sum(map(mul, weights, left)) > sum(_free(one.occupancy) for one in bins):
        return None
    fillings = [_fillings_of(one.occupancy, names, left) for one in bins]
    chosen = _Search(fillings, weights).run(left)
    if chosen is None:
        return None
    specs: dict[str, list[Spec]] = {name: [] for name in names}
    for one, filling in zip(bins, chosen, strict=False):  # the last may stay as they are
        for size, start in filling.places:
            profile = one.occupancy.geometry.by_name[names[size]]
            specs[names[size]].append(Spec(one.gpu_uuid, profile.profile_id, start))
    return specs


def _free(occupancy: Occupancy) -> int:
    return occupancy.geometry.units - occupancy.slices_in_use


def _weights(bins: Sequence[Bin], names: Sequence[str]) -> Counts:
    """How much each size takes at least, wherever it is."""
    tables = [one.occupancy.geometry.by_name for one in bins]
    return tuple(
        min((table[name].width for table in tables if name in table), default=0) for name in names
    )


# -- one GPU


def _fillings_of(
    occupancy: Occupancy, names: tuple[str, ...], limits: Counts
) -> tuple[Filling, ...]:
    taken = tuple(sorted(occupancy.counts.items()))
    return _fillings(occupancy.geometry, occupancy.mask, taken, occupancy.engines, names, limits)


@lru_cache(maxsize=256)
def _fillings(  # noqa: PLR0917 - all that an occupancy is, so that equal ones are found again
    geometry: Geometry,
    mask: int,
    taken: tuple[tuple[int, int], ...],
    engines: Engines,
    names: tuple[str, ...],
    limits: Counts,
) -> tuple[Filling, ...]:
    """The largest fillings: no other has as many or more of every size. Of those with the same
    counts, the one that keeps most room for what may come.
    """
    tally = Occupancy(geometry)
    tally.mask, tally.engines = mask, engines
    tally.counts.update(dict(taken))
    best: dict[Counts, tuple[int, Filling]] = {}
    for filling, after in _extensions(tally, _options(geometry, names), limits):
        rank = (-capacity(geometry.shapes, after), filling)
        best[filling.counts] = min(best.get(filling.counts, rank), rank)
    return tuple(filling for _, filling in best.values() if _is_largest(filling.counts, best))


def _is_largest(counts: Counts, among: Mapping[Counts, object]) -> bool:
    """Whether one more of any size makes a filling no longer: fewer is always possible."""
    return not any(
        (*counts[:size], count + 1, *counts[size + 1 :]) in among
        for size, count in enumerate(counts)
    )


def _options(geometry: Geometry, names: tuple[str, ...]) -> list[tuple[int, Profile, int]]:
    """Every (size, its profile, start), the widest first."""
    found = [
        (size, geometry.by_name[name], start)
        for size, name in enumerate(names)
        if name in geometry.by_name
        for start in geometry.by_name[name].starts
    ]
    return sorted(found, key=lambda option: (-option[1].width, option[0], option[2]))


def _extensions(
    tally: Occupancy, options: Sequence[tuple[int, Profile, int]], limits: Counts
) -> Iterator[tuple[Filling, int]]:
    """Every way to go on from ``tally``, each once, with the mask after it."""
    todo = [(tally, 0, Filling((0,) * len(limits), ()))]
    while todo:
        tally, first, filling = todo.pop()
        yield filling, tally.mask
        for index in range(first, len(options)):
            size, profile, start = options[index]
            count = filling.counts[size] + 1
            if count <= limits[size] and tally.fits(profile, start):
                more = tally.copy()
                more.add(Spec("", profile.profile_id, start))
                counts = (*filling.counts[:size], count, *filling.counts[size + 1 :])
                todo.append((more, index + 1, Filling(counts, (*filling.places, (size, start)))))


# -- all of them


class _Search:
    """Depth first over the GPUs, the fullest fillings first. What failed once is not tried again;
    what cannot be reached by the GPUs still to come is not tried at all.
    """

    def __init__(self, fillings: Sequence[tuple[Filling, ...]], weights: Counts) -> None:
        self._weights = weights
        self._fillings = fillings
        self._alike = [fillings.index(each) for each in fillings]
        self._most = [_most(each) for each in fillings]
        self._reach = self._reaches()
        self._failed: set[tuple[int, Counts]] = set()
        self._cuts: dict[tuple[int, Counts], list[Filling]] = {}

    def run(self, left: Counts) -> list[Filling] | None:
        """A filling for each GPU that is needed, with nothing left over."""
        return self._from(0, left)

    def _weight(self, counts: Counts) -> int:
        return sum(map(mul, self._weights, counts))

    def _reaches(self) -> list[Counts]:
        """For the GPUs from each one on: the most of each size, and the most weight."""
        reaches = [(0,) * (len(self._weights) + 1)]
        for each, most in zip(self._fillings[::-1], self._most[::-1], strict=True):
            weight = max(self._weight(one.counts) for one in each)
            reaches.append(tuple(map(add, reaches[-1], (*most, weight))))
        return reaches[::-1]

    def _from(self, gpu: int, left: Counts) -> list[Filling] | None:
        if not any(left):
            return []
        seen = (gpu, left) in self._failed or len(self._failed) >= MOST_STEPS
        if seen or any(map(gt, (*left, self._weight(left)), self._reach[gpu])):
            return None
        self._failed.add((gpu, left))  # true if this returns None; if not, nobody asks again
        for filling in self._fitting(gpu, left):
            others = self._from(gpu + 1, tuple(map(sub, left, filling.counts)))
            if others is not None:
                return [filling, *others]
        return None

    def _fitting(self, gpu: int, left: Counts) -> list[Filling]:
        """The GPU's fillings without what is not wanted, each once, the fullest first."""
        key = (self._alike[gpu], tuple(map(min, left, self._most[gpu])))
        if key not in self._cuts:
            cut = {_cut(filling, left) for filling in self._fillings[gpu]}
            self._cuts[key] = sorted(cut, key=lambda one: (-self._weight(one.counts), one))
        return self._cuts[key]


def _most(fillings: Sequence[Filling]) -> Counts:
    """The most of each size."""
    return tuple(map(max, zip(*(filling.counts for filling in fillings), strict=True)))


def _cut(filling: Filling, left: Counts) -> Filling:
    """The filling with no more of any size than is left to place."""
    surplus = [max(a - b, 0) for a, b in zip(filling.counts, left, strict=True)]
    if not any(surplus):
        return filling
    kept = list(filling.places)
    for place in filling.places[::-1]:
        if surplus[place[0]]:
            surplus[place[0]] -= 1
            kept.remove(place)
    return Filling(tuple(map(min, filling.counts, left)), tuple(kept))
