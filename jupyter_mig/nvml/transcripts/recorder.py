"""Stands between pynvml and a library, and writes down what passes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import pynvml

from jupyter_mig.nvml import raw

from .ctypes_values import seen, target
from .exchange import exchanged
from .transcript import Call, Transcript

_PREFIX = "nvml"
_NO_CALL = "nvmlErrorString"
"""Gives text and no code."""


class Recorder:
    """Has the functions of a library as attributes, as the library has."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._lock = Lock()
        self._calls: list[Call] = []
        self._missing: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        try:
            function = getattr(self._library, name)
        except AttributeError:
            if name.startswith(_PREFIX):
                self._missing.add(name)
            raise
        is_call = name.startswith(_PREFIX) and name != _NO_CALL
        return Recorded(name, function, self._add) if is_call else function

    def transcript(self) -> Transcript:
        """All so far."""
        with self._lock:
            return Transcript(raw.is_simulated(), tuple(self._calls), tuple(sorted(self._missing)))

    def _add(self, call: Call) -> None:
        with self._lock:
            self._calls.append(call)


class Recorded:
    """One function of the library."""

    def __init__(self, name: str, function: Any, add: Any) -> None:
        self._name, self._function, self._add = name, function, add

    def __call__(self, *arguments: Any) -> int:
        """Call it, and note what it was given and what it wrote."""
        targets = [target(argument) for argument in arguments]
        given = tuple(seen(one) for one in targets)
        began = time.monotonic()
        code = int(self._function(*arguments))
        seconds = round(time.monotonic() - began, 6)
        after = [seen(one) for one in targets]
        told = {index: one for index, one in enumerate(after) if one != given[index]}
        self._add(Call(self._name, given, code, told, seconds))
        return code


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Record all that pynvml calls, in this process, until the block ends. NVML must be open."""
    recorder = Recorder(pynvml.nvmlLib)
    with exchanged(recorder):
        yield recorder
