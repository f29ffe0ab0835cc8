"""Lines of the log about those who are refused at the door: whoever floods it fills no disk."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from jupyter_mig import errors
from jupyter_mig.broker.story import line

log = logging.getLogger(__name__)

_MOST_REMEMBERED = 4096
_OTHERS = "others"
_LONGEST_TOLD = 200


class Complaints:
    """``most`` lines in ``seconds`` about each and each reason; further ones are counted, and told
    of as a sum when that time is over. Only on a loop.
    """

    def __init__(self, most: int = 10, seconds: float = 60.0) -> None:
        self._most = most
        self._seconds = seconds
        self._counts: Counter[tuple[object, str]] = Counter()

    def tell(self, about: object, reason: str, words: str) -> None:
        """Log ``words`` about a user or an address."""
        which = (about, reason)
        if which not in self._counts:
            if len(self._counts) >= _MOST_REMEMBERED:
                which = (_OTHERS, reason)
            if which not in self._counts:
                asyncio.get_running_loop().call_later(self._seconds, self._sum, which)
        self._counts[which] += 1
        if self._counts[which] <= self._most:
            log.info("%s", words)

    def _sum(self, which: tuple[object, str]) -> None:
        more = self._counts.pop(which) - self._most
        if more > 0:
            about, reason = which
            log.info("%s", line("Refuse", who=about, reason=reason, more=more))


def refusal_line(who: int | str, error: errors.JupyterMigError, path: str) -> str:
    """What the log says of it."""
    about = {"uid" if isinstance(who, int) else "ip": who}
    why = {"message": error.message[:_LONGEST_TOLD], "situation": error.situation[:_LONGEST_TOLD]}
    return line("Refuse", **about, reason=error.kind, path=path[:_LONGEST_TOLD], **why)
