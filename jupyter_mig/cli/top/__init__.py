"""``jupyter mig top``: the GPUs, their slices and what is in use, kept up to date."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TextIO

from jupyter_mig.cli import document
from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.interrupts import until_interrupted
from jupyter_mig.cli.terminal import of
from jupyter_mig.cli.top import page
from jupyter_mig.cli.top.picture import Picture, ask
from jupyter_mig.cli.top.screen import Screen, taken_over
from jupyter_mig.errors import BadRequest, JupyterMigError

HELP = "live view of GPUs, slices and memory in use"

_SHORTEST_SECONDS = 0.2


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument(
        "--interval", type=float, default=2.0, metavar="SECONDS", help="default: 2; q ends it"
    )
    parser.add_argument("--once", action="store_true", help="print one picture and end")
    parser.add_argument("--json", action="store_true", help="print one picture as JSON and end")


def run(arguments: argparse.Namespace) -> int:
    """Show it until q or Ctrl-C; once where the output is no terminal."""
    interval_seconds = _interval(arguments.interval)
    first = hold(ask)
    if arguments.json:
        print(document.text(first))
    elif arguments.once or not _moves(sys.stdout, os.environ):
        print("\n".join(page.lines(first, of(sys.stdout))))
    else:
        with until_interrupted(), taken_over(sys.stdout, sys.stdin) as screen:
            _watch(screen, first, interval_seconds)
    return Exit.DONE


def _watch(screen: Screen, first: Picture, interval_seconds: float) -> None:
    """Draw, and draw again when time has passed; or at once, when the window has another size."""
    shown: Picture | JupyterMigError = first
    while True:
        screen.show(_lines(shown))
        match screen.pause(interval_seconds):
            case "over":
                return
            case "resized":
                continue
        shown = _look()


def _look() -> Picture | JupyterMigError:
    """What goes wrong is shown, and tried again: brokers come back."""
    try:
        return hold(ask)
    except JupyterMigError as error:
        return error


def _lines(shown: Picture | JupyterMigError) -> Iterator[str]:
    """One screenful, as wide as the terminal is now, whatever ``COLUMNS`` said at the start."""
    if isinstance(shown, JupyterMigError):
        yield from str(shown).splitlines()
        yield "Trying again ..."
    else:
        environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        yield from page.lines(shown, of(sys.stdout, environ))


def _moves(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the cursor can be sent about."""
    return stream.isatty() and environ.get("TERM", "dumb") != "dumb"


def _interval(seconds: float) -> float:
    if not (math.isfinite(seconds) and seconds >= _SHORTEST_SECONDS):
        raise BadRequest(
            f"The interval is {seconds:g} s.", situation=f"{_SHORTEST_SECONDS} s is the shortest."
        )
    return seconds
