"""Fixtures: a user on a simulated node, and brokers of one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.broker.brokers import Post, runtime_directory
from tests.server.servers import Home, home


@pytest_asyncio.fixture
async def user() -> AsyncIterator[Home]:
    """One user, one A100 that takes no time, no broker yet."""
    async with home() as one:
        yield one


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A short private directory in which brokers may live."""
    with runtime_directory() as directory:
        yield directory


@pytest.fixture
def post(runtime: Path) -> Post:
    """A place for a quick broker on one simulated A100."""
    return Post(runtime)
