"""One conversation with the broker, from a synchronous verb."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from jupyter_mig.client import Client, Settings

Answer = TypeVar("Answer")


def hold(
    questions: Callable[[Client], Awaitable[Answer]], environ: Mapping[str, str] = os.environ
) -> Answer:
    """Ask the broker that the environment names, starting it if need be."""

    async def talk() -> Answer:
        client = Client(Settings.from_environment(environ))
        try:
            return await questions(client)
        finally:
            client.close()

    return asyncio.run(talk())
