"""How the C functions are declared: name, kinds of arguments, body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .arguments import Converter, InstanceTarget, PhysicalGpu
from .silicon import Place

Body = Callable[..., None]


class Definition(NamedTuple):
    """One C function. The body gets the session and the converted arguments."""

    name: str
    arguments: tuple[Converter, ...]
    body: Body


class FunctionTable(dict[str, Definition]):
    """C functions by name."""

    def function(self, name: str, *arguments: Converter) -> Callable[[Body], Body]:
        """Declare the decorated function as the body of this C function."""

        def declare(body: Body) -> Body:
            self[name] = Definition(name, arguments, body)
            return body

        return declare


def target(values: list[Any]) -> tuple[int | None, int | None]:
    """The GPU and the GPU instance id that a call is about, from its converted arguments."""
    for value in values:
        if isinstance(value, PhysicalGpu):
            return value.gpu, None
        if isinstance(value, (InstanceTarget, Place)):
            return value.gpu, value.instance.id
    return None, None
