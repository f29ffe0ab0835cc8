"""How much of the door one user of a node may take: whoever floods it keeps nobody else out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from jupyter_mig import errors

_MOST_REMEMBERED = 4096


class Crowd:
    """Users at the door. ``connections`` of each are served; twice as many are kept open, so that
    those beyond can be told, and further ones are hung up on at once. ``requests_per_second`` of
    each are answered, after a first ``burst``; more are answered later, at that pace.
    """

    def __init__(
        self,
        connections: int = 1024,
        requests_per_second: float = 200.0,
        burst: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = connections
        self._seconds_each = 1 / requests_per_second
        self._ahead_seconds = burst / requests_per_second
        self._clock = clock
        self._open: Counter[int] = Counter()
        self._paid_until: dict[int, float] = {}

    def enter(self, uid: int) -> bool:
        """A connection was made; whether it may stay. If so, :meth:`leave` says when it is over."""
        if self._open[uid] >= 2 * self._most:
            return False
        self._open[uid] += 1
        return True

    def leave(self, uid: int) -> None:
        """A connection is over."""
        self._open[uid] -= 1
        if not self._open[uid]:
            del self._open[uid]

    async def take_turn(self, uid: int) -> None:
        """Return when a request may be answered. Raises TooMany beyond the connections."""
        if self._open[uid] > self._most:
            raise errors.TooMany(
                f"You have more than {self._most} connections to the broker.",
                next_step="Close some: look for programs of yours that ask again and again.",
            )
        wait_seconds = self.due_in(uid)
        if wait_seconds > 0:
            await asyncio.sleep(wait_seconds)

    def due_in(self, uid: int) -> float:
        """How long one more request has to wait, in seconds; it counts."""
        now = self._clock()
        self._forget_old(now)
        due = max(self._paid_until.get(uid, 0.0), now - self._ahead_seconds) + self._seconds_each
        self._paid_until[uid] = due
        return max(due - now, 0.0)

    def _forget_old(self, now: float) -> None:
        if len(self._paid_until) >= _MOST_REMEMBERED:
            oldest = now - self._ahead_seconds
            self._paid_until = {uid: at for uid, at in self._paid_until.items() if at > oldest}
