"""The driver that the environment names, opened in this process and not in a broker's.

For verbs whose subject is the hardware itself: what is broken, what a GPU can do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from jupyter_mig.client import Settings
from jupyter_mig.nvml.driver import open_driver
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.wire import meeting


@contextmanager
def opened(settings: Settings, place: Path) -> Iterator[HardwarePort]:
    """The driver, until the block ends. ``place`` is the broker's directory: a simulated node that
    lives there is the one that is opened, and a new one where none does.

    Raises UnknownDriver, NoDriver.
    """
    silicon = place / meeting.SILICON
    with closing(open_driver(settings.driver, silicon if silicon.exists() else None)) as driver:
        yield driver
