"""What the shared library answers with: the node that the environment names.

``JUPYTER_MIG_SIMULATED_NODE`` describes it (``2xA30?time_scale=0``);
``JUPYTER_MIG_SIMULATED_STATE`` is the file where it keeps its hardware, which otherwise lives in
the process. Both are read at the first ``nvmlInit`` and at each one after the last
``nvmlShutdown``. Without a node the library is one without a driver: nothing is simulated that
nobody asked for.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from jupyter_mig.errors import UnknownDriver
from jupyter_mig.nvml.facts import SIMULATION_MARK

from . import lookups
from .affinity_calls import scope
from .arguments import Converter, text, uint, ulonglong
from .codes import Code
from .drivers import DRIVERS, NEWEST
from .installation import opened
from .library import INITS, ErrorString, Library, functions
from .spec import parse
from .storage import StateError
from .table import Definition

NODE_VARIABLE = "JUPYTER_MIG_SIMULATED_NODE"
STATE_VARIABLE = "JUPYTER_MIG_SIMULATED_STATE"

_NUMBERS: dict[Converter, str] = {
    uint: "unsigned int",
    lookups.by_index: "unsigned int",
    scope: "unsigned int",
    ulonglong: "unsigned long long",
}
_TEXTS: frozenset[Converter] = frozenset({text, lookups.by_uuid, lookups.by_bus_id})
"""C types of what is passed by value; all else is a pointer."""

log = logging.getLogger(__name__)


def exports() -> dict[str, Definition]:
    """The functions of ``nvmlReturn_t`` that the shared library has."""
    return functions(DRIVERS[NEWEST])


def prototypes() -> str:
    """C declarations of all that is exported; handles and all pointers are ``void *``."""
    lines = [
        "const char *nvmlErrorString(int code);",
        f"int {SIMULATION_MARK}(void);",
        *(_prototype(one) for one in exports().values()),
    ]
    return "\n".join(lines)


def bind(ffi: Any, names: Sequence[str]) -> None:
    """Give cffi's exported functions, ``names`` when the library was built, their bodies."""
    node = EnvironmentsNode()
    text_of = ErrorString()

    @cache
    def error_string(code: int) -> Any:
        """Kept, as C has a pointer to it."""
        return ffi.new("char[]", text_of(code))

    def address(pointer: Any) -> int:
        return int(ffi.cast("uintptr_t", pointer))

    ffi.def_extern(name="nvmlErrorString")(error_string)
    ffi.def_extern(name=SIMULATION_MARK)(lambda: 1)
    definitions = exports()
    for name in names:
        ffi.def_extern(name=name, error=int(Code.UNKNOWN))(
            partial(_answer, node, definitions[name], address)
            if name in definitions
            else _not_any_more
        )


class EnvironmentsNode:
    """The library in this process: of the node that the environment named last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, str], Library] = {}
        self._current: Library | None = None

    def call(self, name: str, arguments: list[object]) -> int:
        """The return code of a function."""
        try:
            library = self._library(starts=name in INITS)
        except (UnknownDriver, StateError) as error:
            log.error("simulated NVML: %s", error)  # noqa: TRY400 - it is told, not traced
            return Code.DRIVER_NOT_LOADED
        if library is None:
            return Code.UNINITIALIZED
        function = getattr(library, name, None)
        return Code.FUNCTION_NOT_FOUND if function is None else int(function(*arguments))

    def _library(self, *, starts: bool) -> Library | None:
        with self._lock:
            if starts and not (self._current and self._current.is_initialised):
                self._current = self._named()
            return self._current

    def _named(self) -> Library:
        """That of the environment; one that was opened before has kept its hardware."""
        key = (os.environ.get(NODE_VARIABLE, ""), os.environ.get(STATE_VARIABLE, ""))
        node, state = key
        if not node:
            raise StateError(f"set {NODE_VARIABLE} to a node such as 2xA100-SXM4-40GB")
        if key not in self._opened:
            spec = parse(node)
            machine = opened(spec, Path(state) if state else None)
            self._opened[key] = Library.of(machine, spec)
        return self._opened[key]


def _answer(node: EnvironmentsNode, definition: Definition, address: Any, *values: Any) -> int:
    """Call the function with ctypes values made of cffi's."""
    arguments: list[object] = []
    for converter, value in zip(definition.arguments, values, strict=True):
        if converter in _NUMBERS:
            arguments.append(value)
        else:
            kind = ctypes.c_char_p if converter in _TEXTS else ctypes.c_void_p
            arguments.append(kind(address(value)))
    return node.call(definition.name, arguments)


def _not_any_more(*_values: Any) -> int:
    return Code.FUNCTION_NOT_FOUND


def _prototype(definition: Definition) -> str:
    kinds = [_NUMBERS.get(one, "void *") for one in definition.arguments]
    return f"int {definition.name}({', '.join(kinds) or 'void'});"
