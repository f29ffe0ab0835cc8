"""The object that takes the place of the loaded libnvidia-ml in pynvml."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_mig.nvml.facts import SIMULATION_MARK

from .affinity_calls import AFFINITY
from .codes import TEXTS, Code, Returned
from .compute_instance_calls import COMPUTE_INSTANCE
from .device_calls import DEVICE
from .drivers import DriverVersion
from .event_calls import EVENT
from .gpm_calls import GPM
from .gpu_instance_calls import GPU_INSTANCE
from .machine import Machine
from .mig_device_calls import MIG_DEVICE
from .session import Session
from .spec import NodeSpec
from .system_calls import SYSTEM
from .table import Definition, target
from .unanswered_calls import UNANSWERED

_TABLES = (
    SYSTEM,
    DEVICE,
    AFFINITY,
    MIG_DEVICE,
    GPU_INSTANCE,
    COMPUTE_INSTANCE,
    GPM,
    EVENT,
    UNANSWERED,
)
INITS = frozenset({"nvmlInit", "nvmlInit_v2", "nvmlInitWithFlags"})
_ALWAYS = "nvmlShutdown"
_TAKE_TIME = frozenset(
    {
        "nvmlDeviceSetMigMode",
        "nvmlDeviceCreateGpuInstance",
        "nvmlDeviceCreateGpuInstanceWithPlacement",
        "nvmlGpuInstanceDestroy",
        "nvmlGpuInstanceCreateComputeInstance",
        "nvmlGpuInstanceCreateComputeInstanceWithPlacement",
        "nvmlComputeInstanceDestroy",
        "nvmlEventSetWait",
        "nvmlEventSetWait_v2",
    }
)


def functions(driver: DriverVersion) -> dict[str, Definition]:
    """The C functions that the library of a driver has."""
    return {
        name: definition
        for table in _TABLES
        for name, definition in table.items()
        if name not in driver.lacks
    }


class ErrorString:
    """``nvmlErrorString``: works without init, and gives text instead of a code."""

    restype: Any = None

    def __call__(self, code: Any) -> bytes:
        """The library's text for a code."""
        return TEXTS.get(int(getattr(code, "value", code)), TEXTS[Code.UNKNOWN]).encode()


class Library:
    """Has the C functions as attributes, and no others: a missing one is an AttributeError."""

    def __init__(self, session: Session) -> None:
        self._session = session
        setattr(self, SIMULATION_MARK, True)
        self.nvmlErrorString = ErrorString()
        for name, definition in functions(session.machine.driver).items():
            setattr(self, name, Function(session, definition))

    @classmethod
    def of(cls, machine: Machine, spec: NodeSpec) -> Library:
        """That of a program with the privileges that the node gives its caller."""
        return cls(Session(machine, privileged=spec.privileged, monitor=spec.monitor))

    @property
    def is_initialised(self) -> bool:
        """Whether somebody's ``nvmlInit`` has not had its ``nvmlShutdown`` yet."""
        return self._session.is_initialised

    def unload(self) -> None:
        """Make functions that somebody kept answer Uninitialized."""
        self._session.unload()


class Function:
    """One C function. ``restype`` may be set, as on any ctypes function; it changes nothing."""

    def __init__(self, session: Session, definition: Definition) -> None:
        self._session = session
        self._definition = definition
        self.__name__ = definition.name
        self.restype: Any = None

    def __call__(self, *raw: object) -> int:
        """The return code; results are in the caller's memory."""
        if self.__name__ in _TAKE_TIME:
            _refuse_on_event_loop(self.__name__)
        try:
            self._run(raw)
        except Returned as returned:
            return returned.code
        return Code.SUCCESS

    def _run(self, raw: tuple[object, ...]) -> None:
        session, (name, arguments, body) = self._session, self._definition
        if len(raw) != len(arguments):
            raise TypeError(f"{name} takes {len(arguments)} arguments, not {len(raw)}")
        if name not in INITS:
            session.require_initialised()
        if name != _ALWAYS:
            session.require_driver()
        values = [convert(session, one) for convert, one in zip(arguments, raw, strict=True)]
        session.machine.meet_faults(name, *target(values))
        body(session, *values)


def _refuse_on_event_loop(name: str) -> None:
    """Calls that take up to seconds would stop everything else on the loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        f"{name} was called on a running event loop, which it would stop for up to seconds:"
        " call NVML from a worker thread (the simulated NVML checks this)"
    )
