"""Limits: what an administrator's rule allows the owner of a request.

They come in with the request and stay with its lease, so that a replay reads no configuration.
"""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """``rule`` is what people call it. What is not said is not limited.

    ``sizes``: the profiles or requirements allowed, by name; empty for all.
    ``slices``: how many the owner may have at a time (a count).
    ``share``: how much of the node's GPUs the owner may have at a time, 0.5 being half a GPU, by
    memory slices.
    ``wait_seconds``: how long a request may wait, whatever it asks for itself.
    ``lifetime_seconds``: how long a slice may be had from the moment it was granted.
    """

    rule: str
    sizes: tuple[str, ...] = ()
    slices: int | None = None
    share: float | None = None
    wait_seconds: float | None = None
    lifetime_seconds: float | None = None

    def patience(self, asked_seconds: float | None) -> float | None:
        """How long a request waits that would wait ``asked_seconds``; None is for ever."""
        known = [each for each in (asked_seconds, self.wait_seconds) if each is not None]
        return min(known, default=None)


UNLIMITED = Limits("")
