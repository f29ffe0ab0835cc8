"""Where this user's broker lives, and what earlier ones left there."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.cli.measures import counted
from jupyter_mig.client import Settings, place
from jupyter_mig.errors import BadPlace
from jupyter_mig.wire import meeting

_PAGE = "Environment variables"


class PlaceFacts(msgspec.Struct, frozen=True):
    """The directory of the broker, which need not exist.

    ``error`` says why none can live there. ``wished`` is ``XDG_RUNTIME_DIR`` where that is not
    used, as it is no directory. ``doorless``: a socket is there and nobody listens. ``earlier`` are
    places that were last used before this boot.
    """

    directory: Path
    error: BadPlace | None = None
    wished: Path | None = None
    doorless: bool = False
    earlier: tuple[Path, ...] = ()


def look(settings: Settings, directory: Path) -> PlaceFacts:
    """Look, and make nothing."""
    door = directory / meeting.SOCKET
    wished = settings.runtime_directory
    try:
        place.require_usable(directory)
        error = None
    except BadPlace as bad:
        error = bad
    return PlaceFacts(
        directory,
        error=error,
        wished=wished if wished is not None and not wished.is_dir() else None,
        doorless=door.is_socket() and not listens(door),
        earlier=tuple(_earlier(directory)),
    )


def check(facts: PlaceFacts) -> Iterator[Finding]:
    """Whether a broker can live there, and what can be cleared away."""
    if facts.error is not None:
        seen = f"{facts.error.message} {facts.error.situation}"
        yield problem("broker's place", seen, facts.error.next_step, _PAGE)
    else:
        yield ok("broker's place", str(facts.directory))
    if facts.wished is not None:
        yield note(
            "XDG_RUNTIME_DIR",
            f"{facts.wished} is no directory, so {facts.directory.parent} is used",
            "Log in afresh, or unset it; programs that differ in it do not find the same broker.",
            _PAGE,
        )
    if facts.doorless:
        yield note(
            "socket",
            f"{facts.directory / meeting.SOCKET} is left from a broker that was killed",
            "Nothing to do: the next broker replaces it. To have one now: jupyter mig status",
        )
    if facts.earlier:
        yield note(
            "earlier boots",
            f"{counted(len(facts.earlier), 'place')} of brokers before the last boot",
            "rm -r " + " ".join(map(str, facts.earlier)),
        )


def listens(door: Path) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(door))
        except BlockingIOError:  # so many want in that they stand in line
            return True
        except OSError:
            return False
    return True


def _earlier(directory: Path) -> Iterator[Path]:
    """Neighbours of the broker's place that nobody has touched since the machine was started."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    try:
        neighbours = sorted(directory.parent.iterdir())
    except OSError:
        return
    for neighbour in neighbours:
        if neighbour != directory and 0 < _last_used(neighbour / meeting.LOCK) < booted:
            yield neighbour


def _last_used(lock: Path) -> float:
    """When it was touched last, in seconds since 1970; 0 if it is not there (any more)."""
    try:
        return lock.stat().st_mtime
    except OSError:
        return 0
