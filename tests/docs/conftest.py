"""Fixtures: a user on a simulated node."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.server.servers import Home, home


@pytest_asyncio.fixture
async def user() -> AsyncIterator[Home]:
    """One user, one A100 that takes no time, no broker yet."""
    async with home() as one:
        yield one
