"""Ending on request, once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end the block quietly; it cleans up on KeyboardInterrupt.

    Further ones are ignored, so that nothing is left half cleaned. A signal that the parent chose
    to have ignored (``nohup``, a shell's ``&``) stays ignored.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        for one in _REQUESTS:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    with _handled_by(end), suppress(KeyboardInterrupt):
        yield


@contextmanager
def heeded_later() -> Iterator[Callable[[], bool]]:
    """The same signals interrupt nothing in the block; it asks whether one has come.

    For what must not be cut off between doing something and noting that it was done.
    """
    come: list[int] = []
    with _handled_by(lambda number, _frame: come.append(number)):
        yield lambda: bool(come)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Those that are not ignored already, until the block ends."""
    before = {one: signal.getsignal(one) for one in _REQUESTS}
    heeded = [one for one in _REQUESTS if before[one] is not signal.SIG_IGN]
    for one in heeded:
        signal.signal(one, handler)
    try:
        yield
    finally:
        for one in heeded:
            signal.signal(one, before[one])
