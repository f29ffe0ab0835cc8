"""What tests of the driver share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import pynvml
import pytest

from jupyter_mig.core.geometry import Gpu, Spec
from jupyter_mig.nvml.driver import Driver
from jupyter_mig.nvml.simulated import Node

THROUGH_LIBRARY = "NVML_IS_THE_SIMULATED_LIBRARY" in os.environ
"""Whether this process was started with the simulator's libnvidia-ml.so.1 on its library path."""

TWO_GPUS = "1xA100-SXM4-40GB,1xH100 80GB HBM3?time_scale=0"


class Install(Protocol):
    """Puts a simulated node under a new driver; the node tells the truth about itself."""

    def __call__(self, node: str = TWO_GPUS, *, patience: float = 30) -> tuple[Driver, Node]:
        """Install ``node``; ``patience`` is the driver's for destroying, in seconds."""


def spec_of(gpu: Gpu, name: str = "", start: int | None = None) -> Spec:
    """A place for an instance on the GPU, by default some small one's first."""
    profile = gpu.geometry.by_name[name] if name else gpu.geometry.profiles[0]
    return Spec(gpu.uuid, profile.profile_id, profile.starts[0] if start is None else start)


def on_call(monkeypatch: pytest.MonkeyPatch, name: str, before: Callable[[], object]) -> None:
    """Have ``before`` called, in the calling thread, before each call of NVML's ``name``."""
    original = getattr(pynvml, name)

    def told(*arguments: Any) -> Any:
        before()
        return original(*arguments)

    monkeypatch.setattr(pynvml, name, told)
