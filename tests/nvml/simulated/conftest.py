"""Nodes the simulator's tests start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jupyter_mig.nvml import simulated
from tests.nvml.simulated import program


@pytest.fixture
def a100() -> Iterator[simulated.Node]:
    """One A100 40 GB, seen with privileges."""
    with program.running("1xA100-SXM4-40GB") as node:
        yield node
