"""Trying again while NVML says In Use."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from jupyter_mig import errors

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5


class Patience:
    """How long to go on. ``over``, once set, ends it at once.

    A GPU instance answers In Use for a moment after its compute instance went, and as long as a
    process or a monitor holds it.
    """

    def __init__(self, seconds: float, over: Event) -> None:
        self._seconds = seconds
        self._over = over

    def insist(self, attempt: Callable[[], None]) -> None:
        """Attempt until it is not In Use, with growing pauses; raises the last InUse."""
        deadline = time.monotonic() + self._seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return attempt()
            except errors.InUse:
                left = deadline - time.monotonic()
                if left <= 0 or self._over.wait(min(pause, left)):
                    raise
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
