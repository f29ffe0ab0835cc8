from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.brokers import Post, runtime_directory


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A short private directory in which brokers may live."""
    with runtime_directory() as directory:
        yield directory


@pytest.fixture
def post(runtime: Path) -> Post:
    """A place for a quick broker on one simulated A100."""
    return Post(runtime)
