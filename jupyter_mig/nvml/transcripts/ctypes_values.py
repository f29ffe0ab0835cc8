"""Arguments of C functions as values of JSON, and values put back into the caller's memory.

Numbers stay numbers; text is text; structs are dictionaries and arrays lists, both without what is
zero; an opaque handle is its address.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

_BLANK: tuple[object, ...] = (None, 0, "", {}, [])
# ctypes gives no other name to the types of its pointers, its simple values and its arrays.
_Pointer: Any = ctypes._Pointer  # noqa: SLF001
_Simple: Any = ctypes._SimpleCData  # noqa: SLF001


def target(argument: Any) -> Any:
    """The object that the C function sees: what ``byref`` or ``pointer`` was made of."""
    if hasattr(argument, "_obj"):
        return argument._obj  # noqa: SLF001 - ctypes' documented attribute of what byref() gives
    if isinstance(argument, _Pointer) and not _is_handle(type(argument)) and argument:
        return argument.contents
    return argument


def seen(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, _Simple):
        return _plain(value.value)
    if isinstance(value, _Pointer):
        return ctypes.cast(value, ctypes.c_void_p).value or 0
    if isinstance(value, ctypes.Structure):
        fields = {name: seen(getattr(value, name)) for name, *_ in value._fields_}
        return {name: one for name, one in fields.items() if one not in _BLANK}
    if isinstance(value, ctypes.Array):
        return _plain(value.value) if value._type_ is ctypes.c_char else _trimmed(value)
    return _plain(value)


def _plain(value: object) -> object:
    """What Python has of its own: text, numbers, nothing."""
    if isinstance(value, bytes):
        return value.partition(b"\0")[0].decode(errors="replace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    if value is None or isinstance(value, int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} is no argument of a C function that is understood")


def fill(place: Any, value: Any) -> None:
    """Put a value where a C function would have put it."""
    ctypes.memset(ctypes.addressof(place), 0, ctypes.sizeof(place))
    if isinstance(place, _Pointer):
        ctypes.c_void_p.from_buffer(place).value = value
    elif isinstance(place, ctypes.Structure):
        for name, kind in ((name, kind) for name, kind, *_ in place._fields_ if name in value):
            fill(kind.from_buffer(place, getattr(type(place), name).offset), value[name])
    elif isinstance(place, ctypes.Array) and place._type_ is not ctypes.c_char:
        size = ctypes.sizeof(place._type_)
        for index, one in enumerate(value):
            fill(place._type_.from_buffer(place, index * size), one)
    elif isinstance(place, ctypes.c_float | ctypes.c_double):
        place.value = float(value)
    else:
        place.value = value.encode() if isinstance(value, str) else value


def _is_handle(kind: Any) -> bool:
    """NVML's handles are pointers to structs of which nobody knows the fields."""
    return issubclass(kind._type_, ctypes.Structure) and not hasattr(kind._type_, "_fields_")


def _trimmed(array: Any) -> list[Any]:
    values = [seen(one) for one in array]
    while values and values[-1] in _BLANK:
        values.pop()
    return values
