"""Points in time: Unix time inside, what people write and read outside."""

from __future__ import annotations

import re
from datetime import datetime

from jupyter_mig.errors import BadRequest

_AGO = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse(text: str, now: float) -> float:
    """``24h`` before ``now``, a date or date and time (ISO 8601, local unless it says), or Unix
    time; raises BadRequest.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return float(text) if re.fullmatch(r"\d{9,}(\.\d+)?", text) else _iso(text)
    except ValueError:
        raise BadRequest(
            f"{text} is no point in time.",
            next_step="Write 24h, 7d, 2026-01-31, 2026-01-31T13:00, or Unix time.",
        ) from None


def _iso(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def shown(moment: float) -> str:
    """Local time, to the second."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")
