"""The states of a node of several GPUs, those that are alike counted as one.

What matters of an instance is its window, for all sizes are held equally long; and GPUs, or slices
of one, may change places if every size can start in the same windows as before. That leaves 144
states of an A100 (of 723 placements) and 10,440 of two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import permutations

from benchmarks.placement.optimum import Moves
from benchmarks.placement.policies import A100, SIZES
from jupyter_mig.core.geometry import Profile

Windows = tuple[int, ...]
"""The windows taken on one GPU, as bit masks, in order."""

Node = tuple[Windows, ...]


def _windows(size: Profile) -> frozenset[int]:
    return frozenset(map(size.window, size.starts))


@cache
def _symmetries() -> list[dict[int, int]]:
    """Every way to exchange slices that leaves each size its windows; as windows by windows."""
    every = frozenset().union(*map(_windows, SIZES))
    found = []
    for order in permutations(range(A100.units)):
        image = {window: _exchanged(window, order) for window in every}
        if all({image[one] for one in _windows(size)} == _windows(size) for size in SIZES):
            found.append(image)
    return found


def _exchanged(window: int, order: tuple[int, ...]) -> int:
    return sum(1 << there for here, there in enumerate(order) if window & (1 << here))


@cache
def _alike(windows: Windows) -> Windows:
    """The one that stands for all that are like it."""
    return min(tuple(sorted(image[one] for one in windows)) for image in _symmetries())


@cache
def _with(windows: Windows, size: Profile) -> tuple[Windows, ...]:
    taken = sum(windows)
    return tuple({_alike((*windows, one)) for one in _windows(size) if not taken & one})


@cache
def _without(windows: Windows) -> tuple[Windows, ...]:
    return tuple(_alike((*windows[:at], *windows[at + 1 :])) for at in range(len(windows)))


def _arrivals(node: Node, size: Profile) -> Iterator[Node]:
    return _changed(node, ((at, more) for at, one in enumerate(node) for more in _with(one, size)))


def _departures(node: Node) -> Iterator[Node]:
    return _changed(node, ((at, less) for at, one in enumerate(node) for less in _without(one)))


def _changed(node: Node, changes: Iterable[tuple[int, Windows]]) -> Iterator[Node]:
    """The node with one GPU changed, for each change."""
    for at, windows in changes:
        yield tuple(sorted((*node[:at], windows, *node[at + 1 :])))


def moves(gpus: int) -> list[Moves]:
    """What can follow each state of so many GPUs, the empty one first; any place may be taken."""
    empty: Node = ((),) * gpus
    number = {empty: 0}
    todo = [empty]

    def known(nodes: Iterable[Node]) -> Iterator[int]:
        for node in nodes:
            if node not in number:
                number[node] = len(number)
                todo.append(node)
            yield number[node]

    return [
        Moves(
            tuple(tuple(set(known(_arrivals(node, size)))) for size in SIZES),
            tuple(known(_departures(node))),
        )
        for node in todo  # which grows
    ]
