"""Which CPUs and NUMA nodes a simulated GPU is near: CPUs that exist here, for kernels run on them.

By default what would be true of GPUs put into this machine, spread evenly over its NUMA nodes. A
number of nodes to pretend cuts its CPUs into so many neighbouring runs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from jupyter_mig.core import cpus

from .codes import Code, Returned

UNTOLD = 0
"""The number of NUMA nodes of a machine on which NVML answers Not Supported."""

_ONLINE = Path("/sys/devices/system/cpu/online")
_NODES = Path("/sys/devices/system/node")


class NumaNode(NamedTuple):
    """A NUMA node and its CPUs."""

    number: int
    cpus: frozenset[int]


def near(gpu: int, gpu_count: int, pretended: int | None) -> NumaNode:
    """The NUMA node of one of so many GPUs. ``pretended`` None: as this machine is."""
    if pretended == UNTOLD:
        raise Returned(Code.NOT_SUPPORTED)
    nodes = _here() if pretended is None else _cut(_online(), pretended)
    return nodes[gpu * len(nodes) // gpu_count]


def _here() -> list[NumaNode]:
    found = [
        NumaNode(int(folder.name.removeprefix("node")), _read(folder / "cpulist"))
        for folder in _NODES.glob("node[0-9]*")
    ]
    with_cpus = sorted(node for node in found if node.cpus)
    return with_cpus or [NumaNode(0, _online())]


def _cut(online: frozenset[int], count: int) -> list[NumaNode]:
    """So many runs, none of them empty: where there are more nodes than CPUs they share these."""
    ordered = sorted(online)
    runs = []
    for number in range(count):
        first = number * len(ordered) // count
        beyond = max((number + 1) * len(ordered) // count, first + 1)
        runs.append(NumaNode(number, frozenset(ordered[first:beyond])))
    return runs


def _online() -> frozenset[int]:
    return _read(_ONLINE) or frozenset(range(os.cpu_count() or 1))


def _read(file: Path) -> frozenset[int]:
    """A list of CPUs; none where the kernel does not show it."""
    try:
        return cpus.parse(file.read_text(encoding="ascii"))
    except OSError:
        return frozenset()
