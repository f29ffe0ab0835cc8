"""Connections by TCP on which nobody has shown yet who he is: they keep nobody else out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from tornado.iostream import IOStream

from jupyter_mig import errors
from jupyter_mig.broker.callers.crowd import HUNG_UP, Crowd, Pace
from jupyter_mig.broker.story import line


class Strangers:
    """There may be ``most`` of them, and ``most_each`` from one address; for one more the oldest is
    hung up on, of the address that has the most. Each has ``seconds`` to show a valid token; while
    the Hub is asked about one, it is not hung up on. Tokens that were never seen to be valid are
    looked at in ``turn``, at a pace for each address: the Hub is asked no more often. As each waits
    for the one before, nobody waits for longer than ``most_each`` take, however many come.

    Whoever is known counts no more among them, but among the connections of his in ``crowd``.
    """

    def __init__(
        self,
        crowd: Crowd,
        most: int = 2048,
        most_each: int = 256,
        seconds: float = 5.0,
        tokens: Pace | None = None,
    ) -> None:
        self._tokens = tokens or Pace(25.0, 200)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._crowd = crowd
        self._most = most
        self._most_each = most_each
        self._seconds = seconds
        self._timers: dict[IOStream, asyncio.TimerHandle] = {}
        self._addresses: dict[IOStream, str] = {}
        self._from: defaultdict[str, dict[IOStream, None]] = defaultdict(dict)
        self._known: dict[IOStream, int] = {}

    def enter(self, stream: IOStream, address: str) -> None:
        """A connection was made."""
        if len(self._from[address]) >= self._most_each:
            self._hang_up_on_oldest(address)
        elif len(self._addresses) >= self._most:
            self._hang_up_on_oldest(max(self._from, key=lambda each: len(self._from[each])))
        self._addresses[stream] = address
        self._from[address][stream] = None
        self._give_time(stream, asyncio.get_running_loop().time() + self._seconds)

    async def turn(self, stream: IOStream, address: str) -> None:
        """Return when a token from there may be looked at. Raises Cancelled if who showed it has
        hung up before.
        """
        lock = self._turns.setdefault(address, asyncio.Lock())
        async with lock:
            if stream.closed():
                raise errors.Cancelled("Who asked has hung up.")
            await self._tokens.turn(address)

    def leave(self, stream: IOStream) -> None:
        """A connection is over. Saying so again is harmless."""
        self._forget(stream)
        owner = self._known.pop(stream, None)
        if owner is not None:
            self._crowd.leave(owner)

    @contextmanager
    def asked_about(self, stream: IOStream) -> Iterator[None]:
        """While it is found out whose a connection is: no stranger is hung up on before that."""
        until = self._stop_time(stream)
        try:
            yield
        finally:
            if stream in self._addresses:
                self._give_time(stream, until)

    def recognize(self, stream: IOStream, owner: int) -> None:
        """It is a user's; the connection of one who has far too many is hung up on."""
        if stream not in self._addresses:
            return
        self._forget(stream)
        if self._crowd.enter(owner):
            self._known[stream] = owner
        else:
            stream.close()

    def _give_time(self, stream: IOStream, until: float) -> None:
        loop = asyncio.get_running_loop()
        self._timers[stream] = loop.call_at(until, stream.close)

    def _stop_time(self, stream: IOStream) -> float:
        """Until when a stranger has time, on the loop's clock."""
        timer = self._timers.pop(stream, None)
        if timer is None:
            return 0.0
        timer.cancel()
        return timer.when()

    def _hang_up_on_oldest(self, address: str) -> None:
        words = line("Refuse", ip=address, reason=HUNG_UP)
        self._crowd.complaints.tell(address, HUNG_UP, words)
        oldest = next(iter(self._from[address]))
        self._forget(oldest)
        oldest.close()

    def _forget(self, stream: IOStream) -> None:
        """It is no stranger's any more."""
        self._stop_time(stream)
        address = self._addresses.pop(stream, None)
        if address is not None:
            del self._from[address][stream]
            if not self._from[address]:
                del self._from[address]
