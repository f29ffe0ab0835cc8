"""What one program holds of NVML: how often it initialised, its handles, its privileges."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from .codes import Code, Returned
from .handles import Allotted, Handles, Key, Kind
from .machine import Machine
from .sampling import Sample
from .silicon import GpuInstance, Place, Silicon

_FIRST_SAMPLE = 0x7F4D_5350_0000
_FIRST_EVENT_SET = 0x7F4D_4556_0000


class EventSet(NamedTuple):
    """What a program waits for: event types by GPU, and the last event it was told of."""

    types_by_gpu: Mapping[int, int] = MappingProxyType({})
    seen: int = 0


class Session:
    """The library as loaded in one process."""

    def __init__(self, machine: Machine, *, privileged: bool, monitor: bool) -> None:
        self.machine = machine
        self._privileged = privileged
        self._monitor = monitor or privileged
        self._handles = Handles()
        self.samples = Allotted[Sample](_FIRST_SAMPLE)
        self.event_sets = Allotted[EventSet](_FIRST_EVENT_SET)
        self._lock = threading.Lock()
        self._initialised = 0
        self._unloaded = False

    def initialise(self) -> None:
        """Count one more ``nvmlInit``."""
        if self._unloaded:
            raise Returned(Code.DRIVER_NOT_LOADED)
        with self._lock:
            self._initialised += 1

    def shut_down(self) -> None:
        """Count one ``nvmlShutdown``; the last makes all handles invalid."""
        with self._lock:
            self._initialised -= 1
            if self._initialised == 0:
                self._forget()

    def unload(self) -> None:
        """The library is taken away: functions somebody kept answer Uninitialized from now on."""
        with self._lock:
            self._unloaded = True
            self._initialised = 0
            self._forget()

    def _forget(self) -> None:
        for handles in (self._handles, self.samples, self.event_sets):
            handles.forget()

    @property
    def is_initialised(self) -> bool:
        """Whether an ``nvmlInit`` has not had its ``nvmlShutdown`` yet."""
        return self._initialised > 0

    def require_initialised(self) -> None:
        """Refuse calls before the first ``nvmlInit`` and after the last ``nvmlShutdown``."""
        if not self._initialised:
            raise Returned(Code.UNINITIALIZED)

    def require_config(self) -> None:
        """Refuse a caller who is neither root nor holds ``mig/config``."""
        if not self._privileged:
            raise Returned(Code.NO_PERMISSION)

    def require_monitor(self) -> None:
        """Refuse a caller who is neither root nor holds ``mig/monitor``."""
        if not self._monitor:
            raise Returned(Code.NO_PERMISSION)

    def require_mig(self, gpu: int) -> None:
        """Refuse MIG questions about a GPU whose MIG mode is off."""
        if not self.now.gpus[gpu].mig_mode:
            raise Returned(Code.NOT_SUPPORTED)

    @property
    def now(self) -> Silicon:
        """The state of the hardware, processes that are gone still in it."""
        return self.machine.storage.read()

    def handle(self, kind: Kind, gpu: int, serial: int = 0) -> int:
        """The handle of an object."""
        return self._handles.give(Key(kind, gpu, serial))

    def key(self, handle: int | None) -> Key:
        """What a handle stands for, on a GPU that answers."""
        key = self._handles.key(handle or 0)
        if key is None:
            raise Returned(Code.INVALID_ARGUMENT)
        self.require_present(key.gpu)
        return key

    def require_present(self, gpu: int) -> None:
        """Refuse calls on a GPU that fell off the bus or needs a reset."""
        if trouble := self.now.gpus[gpu].trouble:
            raise Returned(trouble)

    def require_driver(self) -> None:
        """Refuse calls without a driver, or with another one than the library's."""
        if trouble := self.now.trouble:
            raise Returned(trouble)

    def instance(self, key: Key) -> GpuInstance:
        """The GPU instance a handle stands for."""
        found = self.now.instance(key.gpu, key.serial)
        if found is None:
            raise Returned(Code.INVALID_ARGUMENT)
        return found

    def place(self, key: Key, if_gone: Code) -> Place:
        """The compute instance a handle stands for."""
        found = self.now.place(key.serial)
        if found is None:
            raise Returned(if_gone)
        return found
