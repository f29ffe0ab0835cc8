"""Holders that no process can be seen of from here: in other containers, or on other machines.

They say themselves that they live, again and again. One is over when it has been silent for too
long. Time counts from when this broker began to listen: while there was none nobody could speak.

A holder is written ``heartbeat:random``, or ``heartbeat:random:seconds`` if it asked to be allowed
a longer silence than others. So the ledger and its log keep that, and know nothing of it.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable

from jupyter_mig.core.leases import Holder, Lease, LeaseState

_MARK = "heartbeat:"


def new_heartbeat(silence_seconds: float | None = None) -> Holder:
    """A holder like no other, which asks to be allowed that silence."""
    wish = "" if silence_seconds is None else f":{silence_seconds:g}"
    return Holder(f"{_MARK}{secrets.token_hex(8)}{wish}")


def successor(holder: Holder) -> Holder:
    """Another one, which asks for the same."""
    return new_heartbeat(_wish_seconds(holder) if is_heartbeat(holder) else None)


def _wish_seconds(holder: Holder) -> float | None:
    _, _, wish = holder.removeprefix(_MARK).partition(":")
    return float(wish) if wish else None


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

    ``silence_seconds`` is what every holder is allowed, ``longest_silence_seconds`` what it may be
    allowed if it asks; whatever it asked for when another bound was set.
    """

    def __init__(
        self,
        left: Callable[[Holder], None],
        silence_seconds: float,
        longest_silence_seconds: float = 0.0,
    ) -> None:
        self._left = left
        self._silence_seconds = silence_seconds
        self._longest_silence_seconds = max(longest_silence_seconds, silence_seconds)
        self._alarms: dict[Holder, asyncio.TimerHandle] = {}
        self._silent: set[Holder] = set()

    @property
    def anybody_lives(self) -> bool:
        """Whether one has not fallen silent."""
        return bool(self._alarms)

    @property
    def interval_seconds(self) -> float:
        """How often all holders are asked to speak: two beats in a row may be lost."""
        return self._silence_seconds / _MOST_MISSED

    def silence_seconds(self, holder: Holder) -> float:
        """How long one may be silent."""
        wish = _wish_seconds(holder)
        if wish is None:
            return self._silence_seconds
        return min(max(wish, self._silence_seconds), self._longest_silence_seconds)

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
        if number < math.ceil(self.silence_seconds(holder) / self.interval_seconds):
            self._expect(holder, number + 1)
            return
        self._alarms.pop(holder)
        self._report(holder)

    def _report(self, holder: Holder) -> None:
        self._silent.add(holder)
        self._left(holder)
