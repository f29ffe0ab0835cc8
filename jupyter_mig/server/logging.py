"""Keeps the server's log readable when a kernel is refused a slice."""

from __future__ import annotations

import logging
from asyncio import CancelledError

from jupyter_mig.kernels.refusals import StartRefused


class RefusalsInOneLine(logging.Filter):
    """Jupyter logs a failed start with its traceback, three times over. A refusal is no fault of
    the program: it is logged once, as a warning, without.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: StartRefused | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass everything else unchanged."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, CancelledError):
            # A websocket that waited for a kernel whose start was given up.
            return "/channels" not in record.getMessage()
        if not isinstance(error, StartRefused):
            return True
        if error is self._last:
            return False
        self._last = error
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "Kernel not started: %s", (" ".join(str(error).split()),)
        record.exc_info = record.exc_text = None
        return True
