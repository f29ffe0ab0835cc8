"""A transcript as it is kept."""

from __future__ import annotations

from typing import Any

import msgspec

FORMAT = 1


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of a C function: what it was given, its return code, and what it wrote.

    ``told`` has the arguments that were changed, by position. ``seconds`` is how long it took.
    """

    name: str
    given: tuple[Any, ...] = ()
    code: int = 0
    told: dict[int, Any] = {}
    seconds: float = 0.0


class Transcript(msgspec.Struct, frozen=True):
    """Calls in order. ``missing`` are functions that the library turned out not to have;
    ``simulated`` is whether it was ours.
    """

    simulated: bool
    calls: tuple[Call, ...]
    missing: tuple[str, ...] = ()
    format: int = FORMAT
