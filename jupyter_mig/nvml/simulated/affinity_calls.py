"""Questions about the CPUs and the memory that are near a GPU. What a MIG device is asked is an
assumption: Not Supported, as with all else that its GPU has as a whole.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

import pynvml

from .arguments import Buffer, PhysicalGpu, buffer, gpu, uint
from .codes import Code, Returned
from .session import Session
from .table import FunctionTable
from .topology import NumaNode, near

AFFINITY = FunctionTable()

_GPU_ONLY = gpu(if_mig_device=Code.NOT_SUPPORTED)
_SCOPES = (pynvml.NVML_AFFINITY_SCOPE_NODE, pynvml.NVML_AFFINITY_SCOPE_SOCKET)
_WORD_BITS = 8 * ctypes.sizeof(ctypes.c_ulong)


def scope(session: Session, raw: object) -> int:
    """Node or socket: each simulated socket has one node."""
    found = uint(session, raw)
    if found not in _SCOPES:
        raise Returned(Code.INVALID_ARGUMENT)
    return found


@AFFINITY.function("nvmlDeviceGetCpuAffinityWithinScope", _GPU_ONLY, uint, buffer, scope)
def cpus_within(session: Session, of: PhysicalGpu, size: int, into: Buffer, _scope: int) -> None:
    """Those of the NUMA node."""
    _write(into, size, _node(session, of).cpus)


@AFFINITY.function("nvmlDeviceGetCpuAffinity", _GPU_ONLY, uint, buffer)
def cpus_of_node(session: Session, of: PhysicalGpu, size: int, into: Buffer) -> None:
    """The same within the scope of a node."""
    _write(into, size, _node(session, of).cpus)


@AFFINITY.function("nvmlDeviceGetMemoryAffinity", _GPU_ONLY, uint, buffer, scope)
def memory_within(session: Session, of: PhysicalGpu, size: int, into: Buffer, _scope: int) -> None:
    """The NUMA node itself."""
    _write(into, size, [_node(session, of).number])


def _node(session: Session, of: PhysicalGpu) -> NumaNode:
    return near(of.gpu, len(session.machine.models), session.now.numa)


def _write(into: Buffer, size: int, numbers: Iterable[int]) -> None:
    """Set a bit for each number; those for which there is no room are left out."""
    if size == 0:
        raise Returned(Code.INVALID_ARGUMENT)
    words = ctypes.c_ulong * size
    into.hold(ctypes.sizeof(words), Code.INVALID_ARGUMENT)
    set_bits: Any = words.from_address(into.address)
    set_bits[:] = [0] * size
    for number in numbers:
        word, bit = divmod(number, _WORD_BITS)
        if word < size:
            set_bits[word] |= 1 << bit
