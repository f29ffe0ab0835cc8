"""Opaque handles: distinct numbers for devices, MIG devices, GPU instances and compute instances.

A handle names its object by serial, never by id, so that one whose instance was destroyed is
recognised even after another took the place.
"""

from __future__ import annotations

import threading
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

_Thing = TypeVar("_Thing")

_FIRST = 0x7F4D_4947_0000
_STEP = 0x40


class Kind(Enum):
    """What a handle can stand for."""

    GPU = "GPU"
    MIG_DEVICE = "MIG device"
    GPU_INSTANCE = "GPU instance"
    COMPUTE_INSTANCE = "compute instance"


class Key(NamedTuple):
    """What a handle stands for: an object on a GPU, by serial (0 for the GPU itself)."""

    kind: Kind
    gpu: int
    serial: int = 0


class Allotted(Generic[_Thing]):
    """Things that a program had made for it and gives back, by handle."""

    def __init__(self, first: int) -> None:
        self._lock = threading.Lock()
        self._things: dict[int, _Thing] = {}
        self._next = first

    def add(self, thing: _Thing) -> int:
        """Keep a new thing; gives its handle, which no other ever had."""
        with self._lock:
            self._next += _STEP
            self._things[self._next] = thing
            return self._next

    def __contains__(self, handle: int | None) -> bool:
        return handle in self._things

    def get(self, handle: int) -> _Thing:
        """What the handle stands for."""
        return self._things[handle]

    def put(self, handle: int, thing: _Thing) -> None:
        """Replace what the handle stands for, unless it was removed meanwhile."""
        with self._lock:
            if handle in self._things:
                self._things[handle] = thing

    def remove(self, handle: int) -> None:
        """Give it back."""
        with self._lock:
            self._things.pop(handle, None)

    def forget(self) -> None:
        """Take all back."""
        with self._lock:
            self._things.clear()


class Handles:
    """The handles given out since NVML was initialised."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: dict[Key, int] = {}
        self._keys: dict[int, Key] = {}
        self._next = _FIRST

    def give(self, key: Key) -> int:
        """The handle of an object: the same each time."""
        with self._lock:
            if key not in self._handles:
                self._next += _STEP
                self._handles[key] = self._next
                self._keys[self._next] = key
            return self._handles[key]

    def key(self, handle: int) -> Key | None:
        """What the handle stands for; None for a number never given out."""
        return self._keys.get(handle)

    def forget(self) -> None:
        """Make all handles invalid. Numbers are not given twice."""
        with self._lock:
            self._handles.clear()
            self._keys.clear()
