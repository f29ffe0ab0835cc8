"""What decides which broker is ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

DRIVER_VARIABLE = "JUPYTER_MIG_DRIVER"
SOCKET_VARIABLE = "JUPYTER_MIG_SOCKET"
RUNTIME_VARIABLE = "XDG_RUNTIME_DIR"
VISIBLE_VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


class Settings(msgspec.Struct, frozen=True):
    """Which broker to talk to, and how patiently.

    ``driver`` is ``nvml`` or ``simulated:`` and a node. ``socket``, if given, is the door of
    exactly the broker to talk to; none is ever started then. ``runtime_directory`` is where this
    user's processes keep their sockets. ``visible_devices`` tells apart jobs that may use
    different GPUs. ``start_seconds`` bounds the wait for a broker that is being started,
    ``answer_seconds`` that for an answer beyond what the broker was asked to hold it back.
    """

    driver: str = "nvml"
    socket: Path | None = None
    runtime_directory: Path | None = None
    visible_devices: str = ""
    start_seconds: float = 30.0
    answer_seconds: float = 30.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """The settings that environment variables give. Nothing else reads them."""
        socket = environ.get(SOCKET_VARIABLE)
        runtime = environ.get(RUNTIME_VARIABLE)
        return cls(
            driver=environ.get(DRIVER_VARIABLE) or "nvml",
            socket=Path(socket) if socket else None,
            runtime_directory=Path(runtime) if runtime else None,
            visible_devices="\n".join(environ.get(name, "") for name in VISIBLE_VARIABLES),
        )

    @property
    def simulated(self) -> bool:
        """Whether a simulated node is asked for."""
        return self.driver.startswith("simulated:")
