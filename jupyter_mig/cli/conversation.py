"""One conversation with the broker, from a synchronous verb."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from jupyter_mig.client import Client, Settings

Answer = TypeVar("Answer")


def hold(
    questions: Callable[[Client], Awaitable[Answer]],
    environ: Mapping[str, str] = os.environ,
    client: Client | None = None,
) -> Answer:
    """Ask the broker that the environment names, starting it if need be; or that of ``client``."""
    asking = client or Client(Settings.from_environment(environ))

    async def talk() -> Answer:
        try:
            return await questions(asking)
        finally:
            asking.close()

    return asyncio.run(talk())
