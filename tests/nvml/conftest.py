"""Fixtures for tests of the driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.driver import Driver
from jupyter_mig.nvml.simulated import Node
from tests.nvml.nodes import TWO_GPUS, Install


@pytest.fixture
def install() -> Iterator[Install]:
    """Install a simulated node and open a driver on it, until the test is over."""
    with ExitStack() as stack:

        def installed(node: str = TWO_GPUS, *, patience: float = 30) -> tuple[Driver, Node]:
            truth = stack.enter_context(simulated.installed(node))
            driver = Driver(f"simulated:{node}", simulated=True, destroy_patience_seconds=patience)
            stack.enter_context(closing(driver))
            return driver, truth

        yield installed
