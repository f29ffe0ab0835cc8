"""The library itself: start and end, versions, how many GPUs, and finding one."""

from __future__ import annotations

import ctypes
from typing import Any

import pynvml

from . import processes
from .arguments import (
    Buffer,
    buffer,
    handle_out,
    pointer_to,
    text,
    uint,
    uint_out,
    write_text,
)
from .codes import Code, Returned
from .handles import Kind
from .identity import gpu_uuid, mig_uuid, old_mig_name, pci_address
from .session import Session
from .table import FunctionTable

SYSTEM = FunctionTable()


@SYSTEM.function("nvmlInitWithFlags", uint)
def init_with_flags(session: Session, _flags: int) -> None:
    """Each call must be matched by one ``nvmlShutdown``."""
    session.initialise()


@SYSTEM.function("nvmlInit")
@SYSTEM.function("nvmlInit_v2")
def init(session: Session) -> None:
    """As with no flags."""
    session.initialise()


@SYSTEM.function("nvmlShutdown")
def shutdown(session: Session) -> None:
    """Handles become invalid with the last one."""
    session.shut_down()


@SYSTEM.function("nvmlSystemGetDriverVersion", buffer, uint)
def driver_version(session: Session, into: Buffer, length: int) -> None:
    """The driver whose behaviour is simulated."""
    write_text(into, length, session.machine.driver.version)


@SYSTEM.function("nvmlSystemGetNVMLVersion", buffer, uint)
def nvml_version(session: Session, into: Buffer, length: int) -> None:
    """CUDA's major version before the driver's."""
    write_text(into, length, session.machine.driver.nvml_version)


@SYSTEM.function("nvmlSystemGetCudaDriverVersion", pointer_to(ctypes.c_int))
@SYSTEM.function("nvmlSystemGetCudaDriverVersion_v2", pointer_to(ctypes.c_int))
def cuda_version(session: Session, version: Any) -> None:
    """1000 * major + 10 * minor."""
    version.value = session.machine.driver.cuda_version


@SYSTEM.function("nvmlSystemGetProcessName", uint, buffer, uint)
def process_name(_session: Session, pid: int, into: Buffer, length: int) -> None:
    """The program a process runs."""
    name = processes.name(pid)
    if name is None:
        raise Returned(Code.NOT_FOUND)
    write_text(into, length, name[: max(length - 1, 0)])


@SYSTEM.function("nvmlDeviceGetCount_v2", uint_out)
@SYSTEM.function("nvmlDeviceGetCount", uint_out)
def count(session: Session, into: Any) -> None:
    """All GPUs of the node, a lost one included."""
    into.value = len(session.machine.models)


@SYSTEM.function("nvmlDeviceGetHandleByIndex_v2", uint, handle_out)
@SYSTEM.function("nvmlDeviceGetHandleByIndex", uint, handle_out)
def handle_by_index(session: Session, index: int, into: Any) -> None:
    """A GPU by NVML index."""
    if index >= len(session.machine.models):
        raise Returned(Code.INVALID_ARGUMENT)
    into.value = _gpu_handle(session, index)


@SYSTEM.function("nvmlDeviceGetHandleByUUID", text, handle_out)
def handle_by_uuid(session: Session, uuid: str, into: Any) -> None:
    """A GPU or a MIG device, the latter also by its name of drivers before R470."""
    now = session.now
    for index in range(len(now.gpus)):
        if uuid == gpu_uuid(now.models, index):
            into.value = _gpu_handle(session, index)
            return
        for place in now.places(index):
            if uuid in (mig_uuid(now.models, place), old_mig_name(now.models, place)):
                session.require_present(index)
                into.value = session.handle(Kind.MIG_DEVICE, index, place.compute.serial)
                return
    raise Returned(Code.NOT_FOUND)


@SYSTEM.function("nvmlDeviceGetHandleByUUIDV", pointer_to(pynvml.c_nvmlUUID_t), handle_out)
def handle_by_uuid_struct(session: Session, uuid: Any, into: Any) -> None:
    """As by UUID, for text; the binary form is not simulated."""
    if uuid.version != pynvml.nvmlUUID_v1:
        raise Returned(Code.INVALID_ARGUMENT)
    if uuid.type != pynvml.NVML_UUID_TYPE_ASCII:
        raise Returned(Code.NOT_SUPPORTED)
    handle_by_uuid(session, uuid.value.str.decode(), into)


@SYSTEM.function("nvmlDeviceGetHandleByPciBusId_v2", text, handle_out)
@SYSTEM.function("nvmlDeviceGetHandleByPciBusId", text, handle_out)
def handle_by_bus_id(session: Session, bus_id: str, into: Any) -> None:
    """A GPU by where it sits; a short domain is accepted."""
    domain, _, rest = bus_id.upper().partition(":")
    for index in range(len(session.machine.models)):
        if str(pci_address(index)) == f"{domain:0>8}:{rest}":
            into.value = _gpu_handle(session, index)
            return
    raise Returned(Code.NOT_FOUND)


def _gpu_handle(session: Session, index: int) -> int:
    session.require_present(index)
    return session.handle(Kind.GPU, index)
