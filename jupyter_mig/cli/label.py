"""The line without which nothing about a simulated node is shown."""

from __future__ import annotations

from jupyter_mig.cli.terminal import Ink, Terminal

SIMULATED = "SIMULATED NVIDIA GPUs: no hardware is used"


def heading(terminal: Terminal, *, simulated: bool) -> list[str]:
    """What stands above everything; nothing on real hardware."""
    return [terminal.paint(SIMULATED, Ink.WARNING)] if simulated else []
