"""Numbers as people read them: ``4.8 GiB``, ``41 min``, ``2nd``."""

from __future__ import annotations

_MIB = 2**20
_GIB = 2**30


def memory(size_bytes: int) -> str:
    """Bytes as GiB with one decimal, below one GiB as whole MiB."""
    if size_bytes < _GIB:
        return f"{size_bytes / _MIB:.0f} MiB"
    return f"{size_bytes / _GIB:.1f} GiB"


def duration(seconds: float) -> str:
    """A span in at most two units, rounded down; a negative one (clocks differ) is none."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def roughly(seconds: float) -> str:
    """A span in its largest unit, rounded down."""
    return " ".join(duration(seconds).split()[:2])


def ordinal(place: int) -> str:
    """1st, 2nd, 3rd, 4th … 11th … 21st."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10)
    return f"{place}{ending or 'th'}"


def counted(count: int, noun: str) -> str:
    """``1 kernel``, ``2 kernels``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
