"""What somebody who waits for a slice is told: one line, kept up to date on a terminal."""

from __future__ import annotations

import os
from typing import TextIO

from jupyter_mig.cli.cells import clip
from jupyter_mig.cli.leases import waiting
from jupyter_mig.cli.terminal import Terminal, of
from jupyter_mig.wire.messages import LeaseView

_ERASE = "\r\x1b[K"


class Notice:
    """Shows a lease that waits, until closed. Says nothing if it does not have to wait."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = _in_front(stream)
        self._terminal: Terminal = of(stream)
        self._shown = ""

    def show(self, lease: LeaseView) -> None:
        """Tell how it stands: every time on a terminal, once in a file."""
        if lease.state != "waiting" or (self._shown and not self._live):
            return
        self._shown = f"jupyter mig: {waiting(lease)}"
        if not self._live:
            self._write(f"{self._shown}\n")
            return
        # A line as wide as the terminal would wrap on some.
        self._write(_ERASE + clip(self._shown, self._terminal.breadth - 1, self._terminal.mark))

    def close(self) -> None:
        """Wipe the line away."""
        if self._shown and self._live:
            self._write(_ERASE)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _in_front(stream: TextIO) -> bool:
    """Whether the stream is a terminal that we are in the foreground of: others own its line."""
    if not stream.isatty():
        return False
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:  # a terminal, but not the one that controls us
        return True
