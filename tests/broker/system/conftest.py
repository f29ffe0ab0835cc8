"""Fixtures: a node with a broker for all users."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.broker.system.shared_node import SharedNode, lacking, shared_node


@pytest.fixture
def node() -> Iterator[SharedNode]:
    """One whose broker runs."""
    if lacking():
        pytest.skip(lacking())
    with shared_node() as one:
        one.start()
        yield one
