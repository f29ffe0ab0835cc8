"""Ways to name a GPU or a MIG device, as arguments of C functions."""

from __future__ import annotations

import pynvml

from .arguments import PhysicalGpu, pointer_to, text, uint
from .codes import Code, Returned
from .identity import gpu_uuid, mig_uuid, old_mig_name, pci_address
from .session import Session
from .silicon import Place


def by_index(session: Session, raw: object) -> PhysicalGpu:
    """A GPU by NVML index."""
    index = uint(session, raw)
    if index >= len(session.machine.models):
        raise Returned(Code.INVALID_ARGUMENT)
    return PhysicalGpu(index)


def by_uuid(session: Session, raw: object) -> PhysicalGpu | Place:
    """A GPU or a MIG device, the latter also by its name of drivers before R470."""
    return _called(session, text(session, raw))


def by_uuid_struct(session: Session, raw: object) -> PhysicalGpu | Place:
    """As by UUID, for text; the binary form is not simulated."""
    uuid = pointer_to(pynvml.c_nvmlUUID_t)(session, raw)
    if uuid.version != pynvml.nvmlUUID_v1:
        raise Returned(Code.INVALID_ARGUMENT)
    if uuid.type != pynvml.NVML_UUID_TYPE_ASCII:
        raise Returned(Code.NOT_SUPPORTED)
    return _called(session, uuid.value.str.decode())


def by_bus_id(session: Session, raw: object) -> PhysicalGpu:
    """A GPU by where it sits; a short domain is accepted."""
    domain, _, rest = text(session, raw).upper().partition(":")
    for index in range(len(session.machine.models)):
        if str(pci_address(index)) == f"{domain:0>8}:{rest}":
            return PhysicalGpu(index)
    raise Returned(Code.NOT_FOUND)


def _called(session: Session, uuid: str) -> PhysicalGpu | Place:
    now = session.now
    for index in range(len(now.gpus)):
        if uuid == gpu_uuid(now.models, index):
            return PhysicalGpu(index)
        for place in now.places(index):
            if uuid in (mig_uuid(now.models, place), old_mig_name(now.models, place)):
                return place
    raise Returned(Code.NOT_FOUND)
