"""Faults by script: what an NVML function does instead of, or before, its work.

Faults are values in the node's state, so another process can set them when the state is a file.
They compose: a call meets every fault that fits it, in the order they were added; their extra
seconds add up, and the first with a code ends the call with it.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

import msgspec
from msgspec.structs import replace

from .codes import Code

DESTROY_GPU_INSTANCE = "nvmlGpuInstanceDestroy"
DESTROY_COMPUTE_INSTANCE = "nvmlComputeInstanceDestroy"
CREATE_GPU_INSTANCE = "nvmlDeviceCreateGpuInstance*"


class Fault(msgspec.Struct, frozen=True):
    """One fault, spent after ``times`` calls."""

    function: str
    """Name of the C function, or a pattern such as ``nvmlDeviceCreateGpuInstance*``."""
    code: int = Code.SUCCESS
    """What the call returns; success lets it go on."""
    times: int | None = 1
    """How many calls it meets; None is for good."""
    seconds: float = 0.0
    """Extra time the call takes; real seconds, whatever the node's time scale."""
    gpu: int | None = None
    """NVML index of the GPU concerned; None is any, and calls without a GPU."""
    gpu_instance: int | None = None
    """Id of the GPU instance concerned; None is any."""

    def meets(self, function: str, gpu: int | None, gpu_instance: int | None) -> bool:
        """Whether a call of this function on this GPU and GPU instance meets the fault."""
        return (
            fnmatchcase(function, self.function)
            and self.gpu in (None, gpu)
            and self.gpu_instance in (None, gpu_instance)
        )

    def spent(self) -> Fault | None:
        """What is left of it after one call."""
        if self.times is None:
            return self
        return replace(self, times=self.times - 1) if self.times > 1 else None


def in_use(
    *, times: int | None = 1, gpu: int | None = None, gpu_instance: int | None = None
) -> Fault:
    """Destroying a GPU instance answers In Use, as it does for a moment after its CI went."""
    return Fault(DESTROY_GPU_INSTANCE, Code.IN_USE, times, 0.0, gpu, gpu_instance)


def no_room(*, times: int | None = 1, gpu: int | None = None) -> Fault:
    """Creating a GPU instance answers Insufficient Resources though there is room."""
    return Fault(CREATE_GPU_INSTANCE, Code.INSUFFICIENT_RESOURCES, times, 0.0, gpu)


def no_permission(function: str, *, times: int | None = 1, gpu: int | None = None) -> Fault:
    """The function answers No Permission."""
    return Fault(function, Code.NO_PERMISSION, times, 0.0, gpu)


def slow(function: str, seconds: float, *, times: int | None = 1, gpu: int | None = None) -> Fault:
    """The function takes this many more seconds, then does its work."""
    return Fault(function, Code.SUCCESS, times, seconds, gpu)


class Met(msgspec.Struct, frozen=True):
    """What one call met: time to lose, a code to end with, and the faults left over."""

    seconds: float
    code: int
    left: tuple[Fault, ...]


def meet(faults: tuple[Fault, ...], fits: Callable[[Fault], bool]) -> Met:
    """Spend the faults that fit a call, up to the first that ends it."""
    seconds, left = 0.0, list[Fault]()
    for position, fault in enumerate(faults):
        if not fits(fault):
            left.append(fault)
            continue
        seconds += fault.seconds
        left += [rest] if (rest := fault.spent()) else []
        if fault.code != Code.SUCCESS:
            return Met(seconds, fault.code, (*left, *faults[position + 1 :]))
    return Met(seconds, Code.SUCCESS, tuple(left))
