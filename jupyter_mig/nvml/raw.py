"""NVML's calls with types, one function each: with ``gpm``, the only module that touches pynvml.

Each raises the :class:`jupyter_mig.errors.DriverError` that belongs to NVML's return code.
pynvml has no type information, hands out-parameters through and lets structs travel by value
where C wants a pointer; none of that leaves this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import byref, c_uint, c_ulonglong, sizeof
from functools import partial
from typing import Any, TypeVar

import pynvml

from jupyter_mig import errors
from jupyter_mig.core.geometry import Engines
from jupyter_mig.nvml import translation
from jupyter_mig.nvml.facts import (
    SIMULATION_MARK,
    ComputeInstance,
    ComputeInstanceInfo,
    ComputeProfile,
    Device,
    GpuInstance,
    GpuInstanceInfo,
    Memory,
    MigAttributes,
    Placement,
    Process,
    ProfileInfo,
)

_Answer = TypeVar("_Answer")
_MORE_THAN_ANY_ENUM = 256
_MASK_BITS = 8 * sizeof(c_ulonglong)


def call(name: str, *arguments: object, **options: object) -> Any:
    """Call pynvml's ``name``.

    Some of pynvml's list functions raise "error 0" for an empty success: that is None here.
    Its errors are unhashable and cannot be compared, so none of them is chained or let out.
    """
    try:
        return getattr(pynvml, name)(*arguments, **options)
    except pynvml.NVMLError as error:
        code = int(error.value)
    except ValueError as error:  # text that is none, a number that fits no C type
        raise errors.DriverError(
            "NVML answers nonsense", situation=f"{name}: {error}.", call=name
        ) from error
    if code == pynvml.NVML_SUCCESS:
        return None
    raise translation.error_for(code, name)


def _first_known(*versions: Callable[[], Any]) -> Any:
    """The answer of the newest of ``versions`` that the installed driver has, newest first."""
    *newer, oldest = versions
    for version in newer:
        try:
            return version()
        except errors.DriverError as error:  # noqa: PERF203 - an error is the answer
            if error.code != translation.FUNCTION_NOT_FOUND:
                raise
    return oldest()


def _until_invalid(ask: Callable[[int], _Answer]) -> list[_Answer]:
    """The answers for 0, 1, … until an invalid argument, without those not supported here.

    That is how NVML's profile enums are walked: they grow with each driver. All drivers know 0:
    if that is invalid, then so is what else was asked with.
    """
    found = []
    for number in range(_MORE_THAN_ANY_ENUM):
        try:
            found.append(ask(number))
        except errors.NotSupported:  # noqa: PERF203 - an error is the answer
            continue
        except errors.InvalidArgument:
            if number == 0:
                raise
            break
    return found


def open_session() -> None:
    """Initialise NVML; sessions nest, each needs its own close."""
    call("nvmlInit")


def close_session() -> None:
    """Shut NVML down."""
    call("nvmlShutdown")


def driver_version() -> str:
    """The version of the driver that is loaded, such as ``590.48.01``."""
    return str(call("nvmlSystemGetDriverVersion"))


def is_simulated() -> bool:
    """Whether the NVML that was opened is our simulation, wherever it was loaded from."""
    return hasattr(pynvml.nvmlLib, SIMULATION_MARK)


# GPUs and MIG devices


def device_count() -> int:
    """How many GPUs there are."""
    return int(call("nvmlDeviceGetCount"))


def device_by_index(index: int) -> Device:
    """The GPU that NVML (like nvidia-smi) counts as ``index``."""
    return Device(call("nvmlDeviceGetHandleByIndex", index))


def device_by_uuid(uuid: str) -> Device:
    """The GPU or MIG device with this UUID."""
    return Device(call("nvmlDeviceGetHandleByUUID", uuid))


def device_uuid(device: Device) -> str:
    """``GPU-…`` or ``MIG-…``."""
    return str(call("nvmlDeviceGetUUID", device))


def device_name(device: Device) -> str:
    """The product name; a MIG device's ends in ``MIG`` and its profile."""
    return str(call("nvmlDeviceGetName", device))


def device_minor(device: Device) -> int:
    """The number in ``/dev/nvidiaN`` and in the capability files; not the NVML index."""
    return int(call("nvmlDeviceGetMinorNumber", device))


def mig_enabled(device: Device) -> bool:
    """Whether MIG mode is on now; False on a GPU that has none."""
    try:
        return mig_mode(device)[0]
    except errors.NotSupported:
        return False


def mig_mode(device: Device) -> tuple[bool, bool]:
    """Whether MIG mode is on now, and whether it is after a reset. NotSupported: there is none."""
    current, pending = call("nvmlDeviceGetMigMode", device)
    on = pynvml.NVML_DEVICE_MIG_ENABLE
    return bool(current == on), bool(pending == on)


def turns_without_reset(device: Device) -> bool:
    """Whether MIG mode is turned on without a reset of the GPU; False if the driver cannot tell."""
    (field,) = call(
        "nvmlDeviceGetFieldValues", device, [pynvml.NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED]
    )
    return field.nvmlReturn == pynvml.NVML_SUCCESS and bool(field.value.uiVal)


def turn_mig_on(device: Device) -> None:
    """Turn MIG mode on. The call succeeds also if the mode only waits to be on; that raises here
    what it waits for: InUse for clients.
    """
    name = "nvmlDeviceSetMigMode"
    activation = call(name, device, pynvml.NVML_DEVICE_MIG_ENABLE)
    if activation:
        raise translation.error_for(activation, name)


def memory(device: Device) -> Memory:
    """Memory used and in all; a GPU in MIG mode tells only those who may monitor it."""
    found = _first_known(
        partial(call, "nvmlDeviceGetMemoryInfo", device, version=pynvml.nvmlMemory_v2),
        partial(call, "nvmlDeviceGetMemoryInfo", device),
    )
    return Memory(used_bytes=int(found.used), total_bytes=int(found.total))


def power_milliwatts(gpu: Device) -> int:
    """What the board draws: shared by all its slices. MIG devices are not asked."""
    return int(call("nvmlDeviceGetPowerUsage", gpu))


def temperature_celsius(gpu: Device) -> int:
    """That of the GPU's die: shared by all its slices."""
    return int(call("nvmlDeviceGetTemperature", gpu, pynvml.NVML_TEMPERATURE_GPU))


def busy_percent(gpu: Device) -> int:
    """Of the driver's last period, the part in which something ran. NotSupported in MIG mode."""
    return int(call("nvmlDeviceGetUtilizationRates", gpu).gpu)


def cpus_near(gpu: Device, cpu_count: int) -> frozenset[int]:
    """Of so many CPUs, counted by the kernel from 0, those of the GPU's NUMA node. NotSupported:
    it cannot tell.
    """
    words = -(-cpu_count // _MASK_BITS)
    within = (words, pynvml.NVML_AFFINITY_SCOPE_NODE)
    mask = _first_known(
        partial(call, "nvmlDeviceGetCpuAffinityWithinScope", gpu, *within),
        partial(call, "nvmlDeviceGetCpuAffinity", gpu, words),
    )
    return frozenset(cpu for cpu in range(cpu_count) if _is_set(mask, cpu))


def _is_set(mask: Sequence[int], number: int) -> bool:
    word, bit = divmod(number, _MASK_BITS)
    return bool(mask[word] >> bit & 1)


def processes(device: Device) -> list[Process]:
    """Processes on a GPU (in MIG mode: for those who may monitor) or a MIG device.

    NVML lists those that compute and those that draw apart; one that does both is here twice.
    """
    return [*_processes(device, "Compute"), *_drawing(device)]


def _drawing(device: Device) -> list[Process]:
    """Graphics processes: only ``+gfx`` instances can have any, and not all drivers list them."""
    try:
        return _processes(device, "Graphics")
    except errors.NotSupported:
        return []


def _processes(device: Device, kind: str) -> list[Process]:
    found = _first_known(
        partial(call, f"nvmlDeviceGet{kind}RunningProcesses_v3", device),
        partial(call, f"nvmlDeviceGet{kind}RunningProcesses_v2", device),
    )
    return [Process(pid=int(one.pid), gi_id=int(one.gpuInstanceId)) for one in found or ()]


def computing(device: Device) -> list[Process]:
    """Processes with a CUDA context; those that only draw a desktop are none."""
    return _processes(device, "Compute")


def mig_devices(device: Device) -> list[Device]:
    """All MIG devices of a GPU, as anybody may list them.

    The numbering has holes: Not Found, and on some drivers Invalid Argument.
    """
    found = []
    for index in range(int(call("nvmlDeviceGetMaxMigDeviceCount", device))):
        try:
            found.append(Device(call("nvmlDeviceGetMigDeviceHandleByIndex", device, index)))
        except (errors.NotFound, errors.InvalidArgument):  # noqa: PERF203 - same
            continue
    return found


def parent(mig_device: Device) -> Device:
    """The GPU of a MIG device."""
    return Device(call("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", mig_device))


def mig_gi_id(mig_device: Device) -> int:
    """The id of a MIG device's GPU instance."""
    return int(call("nvmlDeviceGetGpuInstanceId", mig_device))


def mig_ci_id(mig_device: Device) -> int:
    """The id of a MIG device's compute instance."""
    return int(call("nvmlDeviceGetComputeInstanceId", mig_device))


def mig_attributes(mig_device: Device) -> MigAttributes:
    """The size of a MIG device."""
    found = call("nvmlDeviceGetAttributes_v2", mig_device)
    return MigAttributes(
        compute_slices=int(found.gpuInstanceSliceCount), memory_mib=int(found.memorySizeMB)
    )


# GPU instances


def profiles(device: Device) -> list[ProfileInfo]:
    """All GPU instance profiles that the GPU has."""
    return _until_invalid(partial(_profile, device))


def _profile(device: Device, enum: int) -> ProfileInfo:
    ask = partial(call, "nvmlDeviceGetGpuInstanceProfileInfo", device, enum)
    found = _first_known(partial(ask, version=2), partial(ask, version=1))
    return ProfileInfo(
        enum=enum,
        profile_id=int(found.id),
        name=str(getattr(found, "name", "")),
        memory_mib=int(found.memorySizeMB),
        compute_slices=int(found.sliceCount),
        multiprocessors=int(found.multiprocessorCount),
        max_count=int(found.instanceCount),
        engines=Engines(
            decoder=int(found.decoderCount),
            encoder=int(found.encoderCount),
            jpeg=int(found.jpegCount),
            ofa=int(found.ofaCount),
        ),
    )


def placements(device: Device, profile_id: int) -> list[Placement]:
    """All places where instances of the profile may be on an empty GPU."""
    ask = partial(call, "nvmlDeviceGetGpuInstancePossiblePlacements", device, profile_id)
    length = c_uint()
    ask(None, byref(length))
    places = (pynvml.c_nvmlGpuInstancePlacement_t * length.value)()
    ask(places, byref(length))
    return [Placement(place.start, place.size) for place in places[: length.value]]


def gpu_instances(device: Device, profile_id: int, max_count: int) -> list[GpuInstance]:
    """The GPU instances of one profile."""
    length = c_uint(max_count)
    handles = (pynvml.c_nvmlGpuInstance_t * max_count)()
    call("nvmlDeviceGetGpuInstances", device, profile_id, handles, byref(length))
    return [GpuInstance(handle) for handle in handles[: length.value]]


def gpu_instance(device: Device, gi_id: int) -> GpuInstance:
    """The GPU instance with this id."""
    return GpuInstance(call("nvmlDeviceGetGpuInstanceById", device, gi_id))


def gpu_instance_info(instance: GpuInstance) -> GpuInstanceInfo:
    """Id, profile and actual place."""
    found = call("nvmlGpuInstanceGetInfo", instance)
    return GpuInstanceInfo(
        gi_id=int(found.id),
        profile_id=int(found.profileId),
        placement=Placement(int(found.placement.start), int(found.placement.size)),
    )


def create_gpu_instance(device: Device, profile_id: int, place: Placement) -> GpuInstance:
    """Make a GPU instance exactly there. pynvml passes the struct on as given: by reference."""
    struct = pynvml.c_nvmlGpuInstancePlacement_t(place.start, place.size)
    made = call("nvmlDeviceCreateGpuInstanceWithPlacement", device, profile_id, byref(struct))
    return GpuInstance(made)


def destroy_gpu_instance(instance: GpuInstance) -> None:
    """Destroy a GPU instance that has no compute instance (any more)."""
    call("nvmlGpuInstanceDestroy", instance)


# Compute instances


def compute_profiles(instance: GpuInstance) -> list[ComputeProfile]:
    """The compute instance profiles that the GPU instance offers."""
    return _until_invalid(partial(_compute_profile, instance))


def _compute_profile(instance: GpuInstance, enum: int) -> ComputeProfile:
    shared = pynvml.NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED
    ask = partial(call, "nvmlGpuInstanceGetComputeInstanceProfileInfo", instance, enum, shared)
    found = _first_known(partial(ask, version=2), partial(ask, version=1))
    return ComputeProfile(
        profile_id=int(found.id),
        compute_slices=int(found.sliceCount),
        max_count=int(found.instanceCount),
    )


def compute_instances(instance: GpuInstance, profile: ComputeProfile) -> list[ComputeInstance]:
    """The compute instances of one profile in the GPU instance."""
    length = c_uint(profile.max_count)
    handles = (pynvml.c_nvmlComputeInstance_t * profile.max_count)()
    ask = partial(call, "nvmlGpuInstanceGetComputeInstances", instance, profile.profile_id)
    ask(handles, byref(length))
    return [ComputeInstance(handle) for handle in handles[: length.value]]


def compute_instance_info(instance: ComputeInstance) -> ComputeInstanceInfo:
    """Id and MIG device."""
    found = call("nvmlComputeInstanceGetInfo_v2", instance)
    return ComputeInstanceInfo(ci_id=int(found.id), device=Device(found.device))


def create_compute_instance(instance: GpuInstance, profile_id: int) -> ComputeInstance:
    """Make a compute instance wherever it fits."""
    return ComputeInstance(call("nvmlGpuInstanceCreateComputeInstance", instance, profile_id))


def destroy_compute_instance(instance: ComputeInstance) -> None:
    """Destroy a compute instance."""
    call("nvmlComputeInstanceDestroy", instance)
