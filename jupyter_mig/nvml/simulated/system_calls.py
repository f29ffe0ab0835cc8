"""The library itself: start and end, versions, how many GPUs, and finding one."""

from __future__ import annotations

import ctypes
from typing import Any

from . import lookups, processes
from .arguments import (
    Buffer,
    PhysicalGpu,
    buffer,
    handle_out,
    pointer_to,
    uint,
    uint_out,
    write_text,
)
from .codes import Code, Returned
from .handles import Kind
from .session import Session
from .silicon import Place
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


@SYSTEM.function("nvmlDeviceGetHandleByIndex_v2", lookups.by_index, handle_out)
@SYSTEM.function("nvmlDeviceGetHandleByIndex", lookups.by_index, handle_out)
@SYSTEM.function("nvmlDeviceGetHandleByUUID", lookups.by_uuid, handle_out)
@SYSTEM.function("nvmlDeviceGetHandleByUUIDV", lookups.by_uuid_struct, handle_out)
@SYSTEM.function("nvmlDeviceGetHandleByPciBusId_v2", lookups.by_bus_id, handle_out)
@SYSTEM.function("nvmlDeviceGetHandleByPciBusId", lookups.by_bus_id, handle_out)
def handle(session: Session, of: PhysicalGpu | Place, into: Any) -> None:
    """A GPU or a MIG device, however it was named."""
    session.require_present(of.gpu)
    if isinstance(of, Place):
        into.value = session.handle(Kind.MIG_DEVICE, of.gpu, of.compute.serial)
    else:
        into.value = session.handle(Kind.GPU, of.gpu)
