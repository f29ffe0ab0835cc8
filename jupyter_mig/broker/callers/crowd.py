"""How much of the door one user of a node may take: whoever floods it keeps nobody else out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from jupyter_mig import errors
from jupyter_mig.broker.callers.complaints import Complaints
from jupyter_mig.broker.callers.persons import Person
from jupyter_mig.broker.story import line

HUNG_UP = "hung-up"
"""What the log says of connections that nobody answers: whoever has them has too many."""

_MOST_REMEMBERED = 4096
_LONGEST_SECONDS = 20.0
"""How long somebody is kept waiting for his turn before he is told to go away."""

_REFUSAL_SECONDS = 1.0
"""How long he waits to be told: or else each connection of his could be refused without end."""


class Pace:
    """So many a second of each user, after a first ``burst``."""

    def __init__(
        self, a_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds_each = 1 / a_second
        self._ahead_seconds = burst / a_second
        self._clock = clock
        self._paid_until: dict[Person, float] = {}

    async def turn(self, person: Person, count: int = 1) -> None:
        """Return when ``count`` more are due. Raises TooMany as :meth:`due_in` does, but later."""
        try:
            seconds = self.due_in(person, count)
        except errors.TooMany:
            await asyncio.sleep(_REFUSAL_SECONDS)
            raise
        if seconds > 0:
            await asyncio.sleep(seconds)

    def due_in(self, person: Person, count: int = 1) -> float:
        """How long ``count`` more have to wait, in seconds; they are counted, unless that is too
        long: then it raises TooMany.
        """
        now = self._clock()
        self._forget_old(now)
        unpaid = now - self._ahead_seconds  # which is below 0 soon after the machine has started
        earliest = max(self._paid_until.get(person, unpaid), unpaid)
        due = earliest + count * self._seconds_each
        if due - now > _LONGEST_SECONDS:
            raise errors.TooMany(
                "You ask the broker too much, too fast.",
                next_step="Wait a little. Look for programs of yours that ask again and again.",
            )
        self._paid_until[person] = due
        return max(due - now, 0.0)

    def _forget_old(self, now: float) -> None:
        if len(self._paid_until) >= _MOST_REMEMBERED:
            oldest = now - self._ahead_seconds
            self._paid_until = {each: at for each, at in self._paid_until.items() if at > oldest}


class Crowd:
    """Users at the door. ``connections`` of each are served; twice as many are kept open, so that
    those beyond can be told, and further ones are hung up on at once.

    ``requests`` are answered at their pace, and at another, slower one, slices are asked for
    (``asks``): each of those is logged and recorded, whatever becomes of it. What takes the broker
    long is paid for in milliseconds (``work``): nobody else is answered meanwhile. Lines in the
    log about those who are refused are ``complaints``.
    """

    def __init__(
        self,
        connections: int = 1024,
        requests: Pace | None = None,
        asks: Pace | None = None,
        work: Pace | None = None,
    ) -> None:
        self._most = connections
        self._open: Counter[Person] = Counter()
        self._requests = requests or Pace(200.0, 1000)
        self._asks = asks or Pace(10.0, 2000)
        self._work = work or Pace(200.0, 200)
        self.complaints = Complaints()

    def enter(self, person: Person) -> bool:
        """A connection was made; whether it may stay. If so, :meth:`leave` says when it is over.
        If not, that is logged.
        """
        if self._open[person] >= 2 * self._most:
            self.complaints.tell(person, HUNG_UP, line("Refuse", who=person, reason=HUNG_UP))
            return False
        self._open[person] += 1
        return True

    def leave(self, person: Person) -> None:
        """A connection is over."""
        self._open[person] -= 1
        if not self._open[person]:
            del self._open[person]

    async def take_turn(self, person: Person) -> None:
        """Return when a request may be answered. Raises TooMany beyond the connections, or when
        that would take too long.
        """
        if self._open[person] > self._most:
            raise errors.TooMany(
                f"You have more than {self._most} connections to the broker.",
                next_step="Close some: look for programs of yours that ask again and again.",
            )
        await self._requests.turn(person)

    async def ask(self, person: Person, count: int) -> None:
        """Return when so many slices may be asked for. Raises TooMany as :meth:`take_turn` does."""
        await self._asks.turn(person, count)

    async def work(self, person: Person, milliseconds: int) -> None:
        """Return when the broker may be kept busy for so long, about. Raises TooMany as
        :meth:`take_turn` does.
        """
        if milliseconds:
            await self._work.turn(person, milliseconds)
