"""Event sets: Xid errors and changes of the MIG configuration, for those who wait for them.

A set is told what happens after it registered. That creating and destroying GPU instances are
changes of the configuration is the simulator's reading; the header does not say.
"""

from __future__ import annotations

import ctypes
import time
from typing import Any

import pynvml

from .arguments import PhysicalGpu, allotted_event_set, fill, gpu, handle_out, pointer_to, uint
from .arguments import ulonglong as event_types
from .codes import Code, Returned
from .handles import Kind
from .session import EventSet, Session
from .silicon import MIG_CONFIG_CHANGE, XID, Event
from .table import FunctionTable

EVENT = FunctionTable()

_GPU_ONLY = gpu(if_mig_device=Code.NOT_SUPPORTED)
_SUPPORTED = XID | MIG_CONFIG_CHANGE
_PAUSE_SECONDS = 0.01
_WHOLE_GPU = 0xFFFFFFFF


@EVENT.function("nvmlDeviceGetSupportedEventTypes", _GPU_ONLY, pointer_to(ctypes.c_ulonglong))
def supported_event_types(_session: Session, _of: PhysicalGpu, into: Any) -> None:
    """A bit for each type."""
    into.value = _SUPPORTED


@EVENT.function("nvmlEventSetCreate", handle_out)
def create(session: Session, into: Any) -> None:
    """A set that waits for nothing yet."""
    into.value = session.event_sets.add(EventSet())


@EVENT.function("nvmlDeviceRegisterEvents", _GPU_ONLY, event_types, allotted_event_set)
def register(session: Session, of: PhysicalGpu, types: int, event_set: int) -> None:
    """From now on the set is told of these types on this GPU, and of those asked for before."""
    if types & ~_SUPPORTED:
        raise Returned(Code.NOT_SUPPORTED)
    known = session.event_sets.get(event_set)
    wanted = {**known.types_by_gpu, of.gpu: known.types_by_gpu.get(of.gpu, 0) | types}
    seen = known.seen if known.types_by_gpu else session.now.last_event
    session.event_sets.put(event_set, EventSet(wanted, seen))


@EVENT.function(
    "nvmlEventSetWait_v2", allotted_event_set, pointer_to(pynvml.c_nvmlEventData_t), uint
)
@EVENT.function("nvmlEventSetWait", allotted_event_set, pointer_to(pynvml.c_nvmlEventData_t), uint)
def wait(session: Session, event_set: int, into: Any, timeout_ms: int) -> None:
    """The next event, or Timeout."""
    deadline = time.monotonic() + timeout_ms / 1000
    while (event := _next(session, event_set)) is None:
        if time.monotonic() >= deadline:
            raise Returned(Code.TIMEOUT)
        time.sleep(_PAUSE_SECONDS)
    into.device = pynvml.cast(session.handle(Kind.GPU, event.gpu), pynvml.c_nvmlDevice_t)
    fill(
        into,
        eventType=event.type,
        eventData=event.data,
        gpuInstanceId=_WHOLE_GPU,
        computeInstanceId=_WHOLE_GPU,
    )


@EVENT.function("nvmlEventSetFree", allotted_event_set)
def free(session: Session, event_set: int) -> None:
    """A set freed twice is an invalid argument."""
    session.event_sets.remove(event_set)


def _next(session: Session, handle: int) -> Event | None:
    event_set = session.event_sets.get(handle)
    for event in session.now.events:
        if event.number > event_set.seen and event.type & event_set.types_by_gpu.get(event.gpu, 0):
            session.event_sets.put(handle, EventSet(event_set.types_by_gpu, event.number))
            return event
    return None
