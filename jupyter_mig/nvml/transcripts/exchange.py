"""Another library in pynvml's place, while its session goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pynvml


@contextmanager
def exchanged(library: object) -> Iterator[None]:
    """Have pynvml call that library's functions until the block ends; then the earlier one's."""
    globals_of_pynvml = vars(pynvml)
    with pynvml.libLoadLock:
        before = {
            name: globals_of_pynvml[name] for name in ("nvmlLib", "_nvmlGetFunctionPointer_cache")
        }
        globals_of_pynvml.update(nvmlLib=library, _nvmlGetFunctionPointer_cache={})
    try:
        yield
    finally:
        with pynvml.libLoadLock:
            globals_of_pynvml.update(before)
