"""What a stranger's pynvml program does with a node; the tests speak through it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pynvml

from jupyter_mig.nvml import simulated

Handle = Any


class Slice(NamedTuple):
    """A GPU instance with its one compute instance."""

    gpu_instance: Handle
    compute_instance: Handle


@contextmanager
def running(
    spec: str, *, privileged: bool = True, monitor: bool = False, **options: Any
) -> Iterator[simulated.Node]:
    """A node, NVML initialised, nothing taking time."""
    options.setdefault("time_scale", 0)
    with simulated.installed(spec, privileged=privileged, monitor=monitor, **options) as node:
        pynvml.nvmlInit()
        yield node
        pynvml.nvmlShutdown()


def gpu(index: int = 0) -> Handle:
    """The handle of a GPU."""
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def code(call: Callable[..., object], *arguments: object) -> int:
    """The code a call ends with: 0, or that of the NVMLError it raised."""
    try:
        call(*arguments)
    except pynvml.NVMLError as error:
        return int(error.value)
    return 0


def placement(start: int, size: int) -> Any:
    """A pointer to a placement, as the library wants it."""
    return ctypes.byref(pynvml.c_nvmlGpuInstancePlacement_t(start, size))


def make(device: Handle, profile_id: int, start: int | None = None) -> Slice:
    """A GPU instance and a compute instance over all of it."""
    if start is None:
        instance = pynvml.nvmlDeviceCreateGpuInstance(device, profile_id)
    else:
        size = placements(device, profile_id)[0][1]
        instance = pynvml.nvmlDeviceCreateGpuInstanceWithPlacement(
            device, profile_id, placement(start, size)
        )
    return Slice(instance, whole(instance))


def whole(instance: Handle) -> Handle:
    """The compute instance that takes all of a GPU instance."""
    return pynvml.nvmlGpuInstanceCreateComputeInstance(instance, widest(instance))


def widest(instance: Handle) -> int:
    """Id of the widest compute profile a GPU instance offers."""
    found = {}
    for enum in range(pynvml.NVML_COMPUTE_INSTANCE_PROFILE_COUNT):
        try:
            info = pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, enum, 0)
        except pynvml.NVMLError_NotSupported:
            continue
        found[info.sliceCount] = info.id
    return int(found[max(found)])


def unmake(made: Slice) -> None:
    """Destroy both instances."""
    pynvml.nvmlComputeInstanceDestroy(made.compute_instance)
    pynvml.nvmlGpuInstanceDestroy(made.gpu_instance)


def start(instance: Handle) -> int:
    """Where a GPU instance is."""
    return int(pynvml.nvmlGpuInstanceGetInfo(instance).placement.start)


def instance_id(instance: Handle) -> int:
    """The driver's id of a GPU instance."""
    return int(pynvml.nvmlGpuInstanceGetInfo(instance).id)


def mig_device(made: Slice) -> Handle:
    """The MIG device handle of a slice."""
    return pynvml.nvmlComputeInstanceGetInfo(made.compute_instance).device


def uuid(made: Slice) -> str:
    """The MIG UUID of a slice."""
    return str(pynvml.nvmlDeviceGetUUID(mig_device(made)))


def profiles(device: Handle) -> dict[str, Any]:
    """All profiles of a GPU by name, found as the header says: until Invalid Argument."""
    found, enum = {}, 0
    while True:
        try:
            info = pynvml.nvmlDeviceGetGpuInstanceProfileInfo(device, enum)
            found[info.name.removeprefix("MIG ")] = info
        except pynvml.NVMLError_NotSupported:
            pass
        except pynvml.NVMLError_InvalidArgument:
            return found
        enum += 1


def placements(device: Handle, profile_id: int) -> list[tuple[int, int]]:
    """All possible placements of a profile: first the count, then the array."""
    count = ctypes.c_uint()
    pynvml.nvmlDeviceGetGpuInstancePossiblePlacements(device, profile_id, None, ctypes.byref(count))
    array = (pynvml.c_nvmlGpuInstancePlacement_t * count.value)()
    pynvml.nvmlDeviceGetGpuInstancePossiblePlacements(
        device, profile_id, array, ctypes.byref(count)
    )
    return [(one.start, one.size) for one in array[: count.value]]


def gpu_instances(device: Handle, profile_id: int) -> list[Handle]:
    """The GPU instances of one profile."""
    room = pynvml.nvmlDeviceGetGpuInstanceProfileInfoById(device, profile_id).instanceCount
    array, count = (pynvml.c_nvmlGpuInstance_t * room)(), ctypes.c_uint(room)
    pynvml.nvmlDeviceGetGpuInstances(device, profile_id, array, ctypes.byref(count))
    return list(array[: count.value])


def mig_devices(device: Handle) -> dict[int, str]:
    """MIG UUIDs by index, holes left out."""
    found = {}
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(device)):
        try:
            handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(device, index)
        except pynvml.NVMLError_NotFound:
            continue
        found[index] = str(pynvml.nvmlDeviceGetUUID(handle))
    return found
