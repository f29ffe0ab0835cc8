"""The free stretches of a GPU's memory, and what could be made in each."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from jupyter_mig.core import sizes
from jupyter_mig.core.occupancy import Occupancy
from jupyter_mig.core.state import State


class Room(msgspec.Struct, frozen=True):
    """``width`` neighbouring free memory slices from ``start``. ``sizes`` are the profiles of which
    one could be made within them now, the smallest first; none where nothing is made on this GPU.
    """

    start: int
    width: int
    sizes: tuple[str, ...] = ()


def rooms(state: State, gpu_uuid: str) -> list[Room]:
    """Those of one GPU, from left to right. What is parked for somebody is not free."""
    occupancy = state.occupancy(gpu_uuid)
    creates = state.gpus[gpu_uuid].creates
    return [
        Room(start, width, _sizes(occupancy, start, width) if creates else ())
        for start, width in _free(occupancy)
    ]


def _free(occupancy: Occupancy) -> Iterator[tuple[int, int]]:
    """(start, width) of each longest run of free slices."""
    start = 0
    for unit in range(occupancy.geometry.units + 1):
        if unit == occupancy.geometry.units or occupancy.mask & (1 << unit):
            if unit > start:
                yield start, unit - start
            start = unit + 1


def _sizes(occupancy: Occupancy, start: int, width: int) -> tuple[str, ...]:
    within = ((1 << width) - 1) << start
    fitting = (
        profile.name
        for profile in occupancy.geometry.profiles
        if any(
            not profile.window(at) & ~within and occupancy.fits(profile, at)
            for at in profile.starts
        )
    )
    return tuple(sorted(fitting, key=sizes.order))
