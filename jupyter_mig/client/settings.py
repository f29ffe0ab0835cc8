"""What decides which broker is ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from jupyter_mig.client import remote
from jupyter_mig.client.remote import Remote
from jupyter_mig.client.system import SystemBroker, find
from jupyter_mig.wire import meeting

DRIVER_VARIABLE = "JUPYTER_MIG_DRIVER"
SOCKET_VARIABLE = "JUPYTER_MIG_SOCKET"
RUNTIME_VARIABLE = "XDG_RUNTIME_DIR"
INVENTORY_VARIABLE = "JUPYTER_MIG_INVENTORY"
EXPORTER_VARIABLE = "JUPYTER_MIG_DCGM_EXPORTER"
KEEP_READING_VARIABLE = "JUPYTER_MIG_KEEP_READING"
SYSTEM_VARIABLE = "JUPYTER_MIG_SYSTEM"
VISIBLE_VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
ORDER_VARIABLE = "CUDA_DEVICE_ORDER"


class Settings(msgspec.Struct, frozen=True):
    """Which broker to talk to, and how patiently.

    ``driver`` is ``nvml`` or ``simulated:`` and a node. ``socket``, if given, is the door of
    exactly the broker to talk to; none is ever started then. ``runtime_directory`` is where this
    user's processes keep their sockets. ``inventory`` says where slices come from, such as
    ``dynamic:0 static``. ``visible_devices`` tells apart jobs that may use different GPUs: lines
    of ``NAME=value`` for the variables that are set (an empty one is not an absent one).
    ``dcgm_exporter`` is where a broker that is started finds a dcgm-exporter, ``keep_reading`` how
    often, in seconds, it reads slices when nobody looks; both as they were written.
    ``system`` is the broker for all users that this node has; then none is ever started either.
    ``remote`` is a broker that is reached by TCP; then it is the one to talk to.
    ``start_seconds`` bounds the wait for a broker that is being started, ``away_seconds`` that for
    one that others start again, by whoever needs a slice of it; ``answer_seconds`` that for an
    answer beyond what the broker was asked to hold it back.
    """

    driver: str = "nvml"
    socket: Path | None = None
    runtime_directory: Path | None = None
    inventory: str = "auto"
    visible_devices: str = ""
    dcgm_exporter: str = ""
    keep_reading: str = "15"
    system: SystemBroker | None = None
    remote: Remote | None = None
    start_seconds: float = 30.0
    away_seconds: float = 30.0
    answer_seconds: float = 30.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """The settings that environment variables give, and the node's file about its broker
        (another one is named by JUPYTER_MIG_SYSTEM). Nothing else reads them.

        Raises MalformedSpec if that file cannot be read, or a broker's URL cannot be used.
        """
        system = find(Path(environ.get(SYSTEM_VARIABLE) or meeting.SYSTEM_CONFIGURATION))
        socket = environ.get(SOCKET_VARIABLE)
        runtime = environ.get(RUNTIME_VARIABLE)
        return cls(
            driver=environ.get(DRIVER_VARIABLE) or (system.driver if system else "nvml"),
            socket=Path(socket) if socket else None,
            runtime_directory=Path(runtime) if runtime else None,
            system=system,
            remote=remote.named(environ),
            inventory=environ.get(INVENTORY_VARIABLE) or "auto",
            dcgm_exporter=environ.get(EXPORTER_VARIABLE) or "",
            keep_reading=environ.get(KEEP_READING_VARIABLE) or "15",
            visible_devices="\n".join(
                f"{name}={environ[name]}" for name in _visible(environ) if name in environ
            ),
        )

    @property
    def door(self) -> Path | None:
        """The socket to talk to, if it is not that of a broker of our own."""
        return self.socket or (self.system.socket if self.system else None)

    @property
    def simulated(self) -> bool:
        """Whether a simulated node is asked for."""
        return self.driver.startswith("simulated:")


def _visible(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that say which GPUs are meant: CUDA's order counts only where CUDA's list does,
    and tells no places apart elsewhere.
    """
    cuda = VISIBLE_VARIABLES[0]
    return (*VISIBLE_VARIABLES, *((ORDER_VARIABLE,) if cuda in environ else ()))
