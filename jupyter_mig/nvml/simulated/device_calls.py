"""Questions about a device: a GPU, or a MIG device where NVML answers for those too."""

from __future__ import annotations

import ctypes
from typing import Any

import pynvml

from . import memory
from .arguments import (
    Buffer,
    PhysicalGpu,
    buffer,
    device,
    fill,
    gpu,
    nullable_buffer,
    pointer_to,
    uint,
    uint_out,
    write_array,
    write_text,
)
from .codes import Code, Returned
from .identity import gpu_uuid, mig_uuid, minor_number, pci_address, pci_device_id
from .memory import MIB, Memory
from .session import Session
from .silicon import CudaClient, Place
from .table import FunctionTable

DEVICE = FunctionTable()

Device = PhysicalGpu | Place

NO_INSTANCE = 0xFFFFFFFF
_ARCHITECTURES = {"Ampere": 7, "Hopper": 9, "Blackwell": 10}
_IDLE_CELSIUS = 34
_GPU_ONLY = gpu(if_mig_device=Code.NOT_SUPPORTED)


@DEVICE.function("nvmlDeviceGetName", device, buffer, uint)
def name(session: Session, of: Device, into: Buffer, length: int) -> None:
    """A MIG device is named after its GPU and profile; a part of a GPU instance says so first."""
    product = session.machine.models[of.gpu].product_name
    line = product if isinstance(of, PhysicalGpu) else f"{product} MIG {_profile_name(session, of)}"
    write_text(into, length, line)


@DEVICE.function("nvmlDeviceGetUUID", device, buffer, uint)
def uuid(session: Session, of: Device, into: Buffer, length: int) -> None:
    """``GPU-…`` or ``MIG-…``."""
    names = session.machine.names
    line = gpu_uuid(names, of.gpu) if isinstance(of, PhysicalGpu) else mig_uuid(names, of)
    write_text(into, length, line)


@DEVICE.function("nvmlDeviceGetIndex", _GPU_ONLY, uint_out)
def index(_session: Session, of: PhysicalGpu, into: Any) -> None:
    """NVML's own order, by bus id."""
    into.value = of.gpu


@DEVICE.function("nvmlDeviceGetMinorNumber", _GPU_ONLY, uint_out)
def minor(session: Session, of: PhysicalGpu, into: Any) -> None:
    """The N of /dev/nvidiaN, which is not the index."""
    into.value = minor_number(len(session.machine.models), of.gpu)


@DEVICE.function("nvmlDeviceGetPciInfo_v3", _GPU_ONLY, pointer_to(pynvml.nvmlPciInfo_t))
def pci_info(session: Session, of: PhysicalGpu, into: Any) -> None:
    """Where the GPU sits and what it is."""
    address = pci_address(of.gpu)
    fill(
        into,
        busId=str(address).encode(),
        busIdLegacy=str(address)[4:].encode(),
        domain=address.domain,
        bus=address.bus,
        device=address.device,
        pciDeviceId=pci_device_id(session.machine.models[of.gpu].pci_device_id),
        pciSubSystemId=0,
    )


@DEVICE.function(
    "nvmlDeviceGetCudaComputeCapability",
    device,
    pointer_to(ctypes.c_int),
    pointer_to(ctypes.c_int),
)
def compute_capability(session: Session, of: Device, major: Any, minor_part: Any) -> None:
    """The same on a GPU and its slices."""
    major.value, minor_part.value = session.machine.models[of.gpu].compute_capability


@DEVICE.function("nvmlDeviceGetArchitecture", _GPU_ONLY, uint_out)
def architecture(session: Session, of: PhysicalGpu, into: Any) -> None:
    """``NVML_DEVICE_ARCH_*``."""
    into.value = _ARCHITECTURES[session.machine.models[of.gpu].architecture]


@DEVICE.function("nvmlDeviceGetMemoryInfo", device, pointer_to(pynvml.c_nvmlMemory_t))
def memory_info(session: Session, of: Device, into: Any) -> None:
    """Version 1 counts reserved memory as used."""
    found = _memory(session, of)
    fill(into, total=found.total, free=found.free, used=found.reserved + found.used)


@DEVICE.function(
    "nvmlDeviceGetMemoryInfo_v2",
    device,
    pointer_to(pynvml.c_nvmlMemory_v2_t, pynvml.nvmlMemory_v2),
)
def memory_info_v2(session: Session, of: Device, into: Any) -> None:
    """Version 2 tells reserved memory apart."""
    found = _memory(session, of)
    fill(into, total=found.total, reserved=found.reserved, free=found.free, used=found.used)


@DEVICE.function("nvmlDeviceGetBAR1MemoryInfo", device, pointer_to(pynvml.c_nvmlBAR1Memory_t))
def bar1_memory_info(session: Session, of: Device, into: Any) -> None:
    """BAR1 spans the memory, rounded up to a power of two; nothing is mapped."""
    total = 1 << (_memory(session, of).total - 1).bit_length()
    fill(into, bar1Total=total, bar1Free=total - MIB, bar1Used=MIB)


@DEVICE.function("nvmlDeviceGetComputeRunningProcesses_v3", device, uint_out, nullable_buffer)
@DEVICE.function("nvmlDeviceGetComputeRunningProcesses_v2", device, uint_out, nullable_buffer)
def compute_processes(session: Session, of: Device, count: Any, into: Buffer | None) -> None:
    """CUDA clients: of one slice, or for a privileged caller of the whole GPU."""
    _list_processes(
        session, of, count, into, [one for one in _clients(session, of) if not one.graphics]
    )


def _clients(session: Session, of: Device) -> list[CudaClient]:
    return [
        client
        for client in session.machine.state().clients_on(of.gpu)
        if isinstance(of, PhysicalGpu) or client.compute_serial == of.compute.serial
    ]


def _list_processes(
    session: Session, of: Device, count: Any, into: Buffer | None, clients: list[CudaClient]
) -> None:
    _require_aggregate(session, of)
    rows = [_process_row(session, client) for client in clients]
    if into is None and rows:
        count.value = len(rows)
        raise Returned(Code.INSUFFICIENT_SIZE)
    write_array(into, count, pynvml.c_nvmlProcessInfo_v3_t, rows)


@DEVICE.function("nvmlDeviceGetGraphicsRunningProcesses_v3", device, uint_out, nullable_buffer)
@DEVICE.function("nvmlDeviceGetGraphicsRunningProcesses_v2", device, uint_out, nullable_buffer)
def graphics_processes(session: Session, of: Device, count: Any, into: Buffer | None) -> None:
    """Processes that draw, listed as CUDA clients are."""
    drawing = [one for one in _clients(session, of) if one.graphics]
    _list_processes(session, of, count, into, drawing)


@DEVICE.function("nvmlDeviceGetMPSComputeRunningProcesses_v3", device, uint_out, nullable_buffer)
def no_processes(session: Session, of: Device, count: Any, _into: Buffer | None) -> None:
    """There is never MPS here."""
    _require_aggregate(session, of)
    count.value = 0


@DEVICE.function("nvmlDeviceGetUtilizationRates", device, pointer_to(pynvml.c_nvmlUtilization_t))
def utilization_rates(session: Session, of: Device, into: Any) -> None:
    """Not to be had in MIG mode, neither of the GPU nor of a slice."""
    if session.now.gpus[of.gpu].mig_mode:
        raise Returned(Code.NOT_SUPPORTED)
    fill(into, gpu=0, memory=0)


@DEVICE.function("nvmlDeviceGetTemperature", _GPU_ONLY, uint, uint_out)
def temperature(_session: Session, of: PhysicalGpu, sensor: int, into: Any) -> None:
    """An idle board's, a little different for each; the only sensor is 0."""
    if sensor != 0:
        raise Returned(Code.INVALID_ARGUMENT)
    into.value = _IDLE_CELSIUS + of.gpu % 5


@DEVICE.function("nvmlDeviceGetPowerUsage", _GPU_ONLY, uint_out)
def power_usage(session: Session, of: PhysicalGpu, into: Any) -> None:
    """An idle board's, in milliwatts."""
    into.value = session.machine.models[of.gpu].idle_power_milliwatts


@DEVICE.function("nvmlDeviceGetPowerManagementLimit", _GPU_ONLY, uint_out)
@DEVICE.function("nvmlDeviceGetEnforcedPowerLimit", _GPU_ONLY, uint_out)
def power_limit(session: Session, of: PhysicalGpu, into: Any) -> None:
    """The board's own limit, in milliwatts."""
    into.value = session.machine.models[of.gpu].power_limit_milliwatts


@DEVICE.function("nvmlDeviceGetFieldValues", _GPU_ONLY, uint, buffer)
def field_values(session: Session, of: PhysicalGpu, count: int, into: Buffer) -> None:
    """Each value has its own return code; only the two questions about MIG mode are answered."""
    struct = pynvml.c_nvmlFieldValue_t
    into.hold(count * ctypes.sizeof(struct), Code.INVALID_ARGUMENT)
    answers = {
        pynvml.NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED: not session.machine.models[
            of.gpu
        ].mig_toggle_needs_reset,
        pynvml.NVML_FI_DEV_IS_MIG_MODE_INDEPENDENT_MIG_QUERY_CAPABLE: False,
    }
    for field in (struct * count).from_address(into.address):
        answer = answers.get(field.fieldId)
        field.nvmlReturn = Code.NOT_SUPPORTED if answer is None else Code.SUCCESS
        field.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
        field.value.uiVal = bool(answer)


def _require_aggregate(session: Session, of: Device) -> None:
    """In MIG mode, sums over a whole GPU are for those who may see all slices."""
    if isinstance(of, PhysicalGpu) and session.now.gpus[of.gpu].mig_mode:
        session.require_monitor()


def _memory(session: Session, of: Device) -> Memory:
    _require_aggregate(session, of)
    now = session.machine.state()
    if isinstance(of, PhysicalGpu):
        return memory.of_gpu(session.machine, now, of.gpu)
    return memory.of_instance(session.machine, now, of.gpu, of.instance)


def _profile_name(session: Session, place: Place) -> str:
    profile = session.machine.profile_of(place.gpu, place.instance)
    whole = place.compute.size == profile.slices
    return profile.name if whole else f"{place.compute.size}c.{profile.name}"


def _process_row(session: Session, client: CudaClient) -> dict[str, int]:
    place = session.now.place(client.compute_serial) if client.compute_serial else None
    return {
        "pid": client.process.pid,
        "usedGpuMemory": client.memory_bytes,
        "gpuInstanceId": place.instance.id if place else NO_INSTANCE,
        "computeInstanceId": place.compute.id if place else NO_INSTANCE,
    }
