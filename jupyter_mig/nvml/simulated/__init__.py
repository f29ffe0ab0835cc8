"""A simulated NVML: MIG-capable GPUs that any pynvml program in the process can use.

::

    with simulated.installed("1xA100-SXM4-40GB", time_scale=0) as node:
        pynvml.nvmlInit()
        ...

It stands where ``libnvidia-ml`` stands, under pynvml, and is as strict as the driver: it refuses
what the driver refuses, with the driver's codes, takes the time the hardware takes, and fails by
script. It shares data about profiles with nobody's placement code.

From the state outward:

1. ``models`` (data of boards), ``silicon`` (the state, plain values), ``geometry`` and
   ``partitioning`` (the driver's rules, pure).
2. ``storage`` keeps the state in memory or in a shared file; ``machine`` adds time and faults.
3. ``session``, ``handles``, ``arguments`` and ``*_calls`` are the C functions over a machine;
   ``library`` and ``installation`` put them under pynvml.
4. ``node`` is the truth, for tests and the demo.
"""

from __future__ import annotations

from .codes import Code, Returned
from .faults import Fault, in_use, no_permission, no_room, slow
from .installation import AlreadyInstalled, attached, installed
from .models import known_models
from .node import Node, NoSuchDevice
from .spec import NodeSpec, parse
from .storage import StateError

__all__ = [
    "AlreadyInstalled",
    "Code",
    "Fault",
    "NoSuchDevice",
    "Node",
    "NodeSpec",
    "Returned",
    "StateError",
    "attached",
    "in_use",
    "installed",
    "known_models",
    "no_permission",
    "no_room",
    "parse",
    "slow",
]
