"""Arguments of C functions: what ctypes hands over, checked and turned into what was meant.

pynvml sets no ``argtypes``, so a call passes whatever it was given, as C would see it: pointers
by ``byref``, array or pointer object; integers; NULL as None. A struct handed over *by value*
where the library wants a pointer is a bogus pointer there, and is refused here (2). Where the
memory behind a pointer is known to be too small the call is refused too, instead of writing
past its end.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .codes import Code, Returned
from .handles import Allotted, Kind
from .session import Session
from .silicon import GpuInstance, Place

Converter = Callable[[Session, object], Any]

_POINTER_SIZE = ctypes.sizeof(ctypes.c_void_p)


class PhysicalGpu(NamedTuple):
    """A handle resolved to a GPU, by NVML index."""

    gpu: int


class InstanceTarget(NamedTuple):
    """A handle resolved to a GPU instance."""

    gpu: int
    instance: GpuInstance


class Buffer(NamedTuple):
    """Memory to write into; ``size`` in bytes, None when ctypes does not tell."""

    address: int
    size: int | None

    def hold(self, size: int, code: Code) -> None:
        """Refuse with ``code`` when it is known to be smaller than ``size`` bytes."""
        if self.size is not None and self.size < size:
            raise Returned(code)


def uint(_session: Session, raw: object) -> int:
    """An unsigned int by value."""
    if isinstance(raw, (ctypes.Structure, ctypes.Union)):
        raise Returned(Code.INVALID_ARGUMENT)
    value = getattr(raw, "value", raw)
    if value is None:
        return 0
    if not isinstance(value, int):
        raise ctypes.ArgumentError(f"not an integer: {raw!r}")
    return value & 0xFFFFFFFF


def ulonglong(_session: Session, raw: object) -> int:
    """An unsigned long long by value."""
    value = getattr(raw, "value", raw)
    if not isinstance(value, int):
        raise ctypes.ArgumentError(f"not an integer: {raw!r}")
    return value & 0xFFFFFFFFFFFFFFFF


def text(_session: Session, raw: object) -> str:
    """A string coming in."""
    value = raw if isinstance(raw, bytes) else getattr(raw, "value", None)
    if not isinstance(value, bytes):
        raise Returned(Code.INVALID_ARGUMENT)
    return value.decode("ascii", "replace")


def anything(_session: Session, raw: object) -> object:
    """An argument of a function that only says it is not supported."""
    return raw


def buffer(session: Session, raw: object) -> Buffer:
    """Memory of the caller; NULL is refused."""
    found = nullable_buffer(session, raw)
    if found is None:
        raise Returned(Code.INVALID_ARGUMENT)
    return found


def nullable_buffer(_session: Session, raw: object) -> Buffer | None:
    """Memory of the caller, or None for NULL."""
    address = _address(raw)
    return Buffer(address, _size_behind(raw)) if address else None


def pointer_to(struct: type[Any], version: int | None = None) -> Converter:
    """A pointer to one struct (or number) in the caller's memory, seen as that type.

    A versioned struct of another version is refused with Invalid Argument, as real libraries do.
    """

    def convert(session: Session, raw: object) -> Any:
        found = buffer(session, raw)
        found.hold(ctypes.sizeof(struct), Code.INVALID_ARGUMENT)
        seen = struct.from_address(found.address)
        if version is not None and seen.version != version:
            raise Returned(Code.INVALID_ARGUMENT)
        return seen

    return convert


uint_out = pointer_to(ctypes.c_uint)
handle_out = pointer_to(ctypes.c_void_p)


def device(session: Session, raw: object) -> PhysicalGpu | Place:
    """A device handle: of a GPU or of a MIG device."""
    key = session.key(_address(raw))
    if key.kind is Kind.GPU:
        return PhysicalGpu(key.gpu)
    if key.kind is not Kind.MIG_DEVICE:
        raise Returned(Code.INVALID_ARGUMENT)
    return session.place(key, Code.NOT_FOUND)


def gpu(*, if_mig_device: Code) -> Converter:
    """A device handle that must be a GPU's; NVML's answers to a MIG device's differ by function."""

    def convert(session: Session, raw: object) -> PhysicalGpu:
        found = device(session, raw)
        if isinstance(found, PhysicalGpu):
            return found
        raise Returned(if_mig_device)

    return convert


def mig_device(*, if_gpu: Code) -> Converter:
    """A device handle that must be a MIG device's."""

    def convert(session: Session, raw: object) -> Place:
        found = device(session, raw)
        if isinstance(found, Place):
            return found
        raise Returned(if_gpu)

    return convert


def gpu_instance(session: Session, raw: object) -> InstanceTarget:
    """A GPU instance handle. One whose instance was destroyed is an Invalid Argument."""
    key = session.key(_address(raw))
    if key.kind is not Kind.GPU_INSTANCE:
        raise Returned(Code.INVALID_ARGUMENT)
    return InstanceTarget(key.gpu, session.instance(key))


def compute_instance(session: Session, raw: object) -> Place:
    """A compute instance handle. One whose instance was destroyed is an Invalid Argument."""
    key = session.key(_address(raw))
    if key.kind is not Kind.COMPUTE_INSTANCE:
        raise Returned(Code.INVALID_ARGUMENT)
    return session.place(key, Code.INVALID_ARGUMENT)


def allotted_sample(session: Session, raw: object) -> int:
    """The handle of a GPM sample that was allocated and not freed."""
    return _allotted(session.samples, raw)


def allotted_event_set(session: Session, raw: object) -> int:
    """The handle of an event set that was created and not freed."""
    return _allotted(session.event_sets, raw)


def write_text(into: Buffer, length: int, value: str) -> None:
    """Write a C string into a buffer of ``length`` bytes."""
    line = value.encode() + b"\0"
    if length < len(line):
        raise Returned(Code.INSUFFICIENT_SIZE)
    into.hold(len(line), Code.INVALID_ARGUMENT)
    ctypes.memmove(into.address, line, len(line))


def write_array(
    into: Buffer | None, count: Any, struct: type[Any], rows: Sequence[dict[str, int]]
) -> None:
    """Write structs into an array whose length is in ``count``; NULL asks only for the count."""
    room, count.value = count.value, len(rows)
    if into is None:
        return
    if room < len(rows):
        raise Returned(Code.INSUFFICIENT_SIZE)
    into.hold(len(rows) * ctypes.sizeof(struct), Code.INSUFFICIENT_SIZE)
    for cell, row in zip((struct * len(rows)).from_address(into.address), rows, strict=True):
        fill(cell, **row)


def write_handles(into: Buffer, count: Any, handles: Sequence[int]) -> None:
    """Write handles into an array whose length is in ``count``."""
    room, count.value = count.value, len(handles)
    if room < len(handles):
        raise Returned(Code.INSUFFICIENT_SIZE)
    into.hold(len(handles) * _POINTER_SIZE, Code.INSUFFICIENT_SIZE)
    (ctypes.c_void_p * len(handles)).from_address(into.address)[:] = list(handles)


def fill(struct: Any, **fields: object) -> None:
    """Set several fields of a struct."""
    for name, value in fields.items():
        setattr(struct, name, value)


def _allotted(among: Allotted[Any], raw: object) -> int:
    handle = _address(raw)
    if handle is None or handle not in among:
        raise Returned(Code.INVALID_ARGUMENT)
    return handle


def _address(raw: object) -> int | None:
    """The pointer C would see, None for NULL. A Python integer is cut to a C int: no pointer."""
    if isinstance(raw, int) and raw:
        raise Returned(Code.INVALID_ARGUMENT)
    try:
        return ctypes.cast(raw, ctypes.c_void_p).value  # type: ignore[arg-type]
    except ctypes.ArgumentError:
        raise Returned(Code.INVALID_ARGUMENT) from None


def _size_behind(raw: object) -> int | None:
    """Bytes behind a pointer, where ctypes knows: arrays, and objects passed by reference."""
    if isinstance(raw, ctypes.Array):
        return ctypes.sizeof(raw)
    behind = getattr(raw, "_obj", None)
    return None if behind is None else ctypes.sizeof(behind)
