"""Which servers to stop, by what they do with their slices.

jupyterhub-idle-culler 2.0 asks a ``cull_arbiter_hook(inactive, inactive_limit, server)`` about each
server; ``inactive`` is None for one that says nothing about its activity. By itself the culler sees
only what passes through the proxy: a computation of a day looks idle, a slice held by an open tab
looks busy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import msgspec


class Use(msgspec.Struct, frozen=True):
    """What is known of one slice. ``utilization`` is in per cent, the highest of late, and None
    where nobody can measure it (then a slice with processes on it counts as used).
    """

    held_seconds: float
    utilization: float | None = None
    processes: int | None = None


class Arbiter(msgspec.Struct, frozen=True):
    """The hook. ``use_of`` tells of the slices that a user holds, by the user's name.

    A server that computes on a slice is left alone. One that has held slices for ``idle_seconds``
    and uses none is stopped when it has been inactive for ``idle_seconds``. All others as the
    culler's own limit says.
    """

    use_of: Callable[[str], Awaitable[Iterable[Use]]]
    idle_seconds: float = 1800.0
    busy_percent: float = 1.0

    async def __call__(
        self, inactive: timedelta | None, inactive_limit: float, server: Mapping[str, Any]
    ) -> bool:
        """Whether to stop that server."""
        if inactive is None:
            return False
        slices = tuple(await self.use_of(owner_of(server)))
        if any(map(self._is_used, slices)):
            return False
        seconds = inactive.total_seconds()
        held = any(each.held_seconds >= self.idle_seconds for each in slices)
        return seconds >= (min(self.idle_seconds, inactive_limit) if held else inactive_limit)

    def _is_used(self, use: Use) -> bool:
        if use.utilization is not None:
            return use.utilization >= self.busy_percent
        return bool(use.processes)


def owner_of(server: Mapping[str, Any]) -> str:
    """Whose a server is, as the Hub's model of it says: by ``full_name``, ``NAME/SERVER``, which
    JupyterHub 5 brought, or else by the URL.
    """
    if "full_name" in server:
        return str(server["full_name"]).partition("/")[0]
    _, _, rest = str(server.get("url", "")).partition("/user/")
    return unquote(rest.partition("/")[0])
