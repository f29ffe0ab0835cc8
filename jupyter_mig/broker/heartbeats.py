"""Holders that no process can be seen of from here: in other containers, or on other machines.

They say themselves that they live, again and again. One is over when it has been silent for too
long. Time counts from when this broker began to listen: while there was none nobody could speak.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from jupyter_mig.core.leases import Holder, Lease, LeaseState

_MARK = "heartbeat:"


def new_heartbeat() -> Holder:
    """A holder like no other."""
    return Holder(f"{_MARK}{secrets.token_hex(8)}")


def is_heartbeat(holder: Holder | None) -> bool:
    """Whether a holder is known by its heartbeats, and not as a process."""
    return holder is not None and holder.startswith(_MARK)


def is_kept_by_heartbeats(lease: Lease) -> bool:
    """Whether a live lease is over when nobody says that its holder lives."""
    kept = is_heartbeat(lease.kernel or lease.requester)
    return kept and lease.state is not LeaseState.RELEASED


_MOST_MISSED = 3


class Heartbeats:
    """Those listened for now. ``left`` is called, on the loop, for each that fell silent.

    Beats that were missed are counted, not seconds: a broker that did not run for a while, as when
    its machine was suspended, has heard nobody and finds the beats when it runs again.
    """

    def __init__(self, left: Callable[[Holder], None], silence_seconds: float) -> None:
        self._left = left
        self._silence_seconds = silence_seconds
        self._alarms: dict[Holder, asyncio.TimerHandle] = {}
        self._silent: set[Holder] = set()

    @property
    def anybody_lives(self) -> bool:
        """Whether one has not fallen silent."""
        return bool(self._alarms)

    @property
    def interval_seconds(self) -> float:
        """How often holders are asked to speak: two beats in a row may be lost."""
        return self._silence_seconds / _MOST_MISSED

    def watch(self, wanted: set[Holder]) -> None:
        """Listen for exactly these from now on."""
        for holder in self._alarms.keys() - wanted:
            self._alarms.pop(holder).cancel()
        for holder in wanted - self._alarms.keys() - self._silent:
            self._listen(holder)

    def beat(self, holder: Holder | None) -> None:
        """One spoke; whoever is not listened for does not matter."""
        if holder in self._alarms:
            self._alarms.pop(holder).cancel()
            self._listen(holder)

    def end(self, holder: Holder | None) -> None:
        """One said that it is over."""
        if holder in self._alarms:
            self._alarms.pop(holder).cancel()
            self._report(holder)

    def heard(self, holder: Holder) -> None:
        """The ledger knows that one is gone. If it is wanted again, it is reported again."""
        self._silent.discard(holder)

    def _listen(self, holder: Holder) -> None:
        self._expect(holder, 1)

    def _expect(self, holder: Holder, number: int) -> None:
        """A beat, or else that many were missed in a row."""
        loop = asyncio.get_running_loop()
        self._alarms[holder] = loop.call_later(self.interval_seconds, self._missed, holder, number)

    def _missed(self, holder: Holder, number: int) -> None:
        if number < _MOST_MISSED:
            self._expect(holder, number + 1)
            return
        self._alarms.pop(holder)
        self._report(holder)

    def _report(self, holder: Holder) -> None:
        self._silent.add(holder)
        self._left(holder)
