"""Ending on request, once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end the block quietly; it cleans up on KeyboardInterrupt.

    Further ones are ignored, so that nothing is left half cleaned. A signal that the parent chose
    to have ignored (``nohup``, a shell's ``&``) stays ignored.
    """
    before = {one: signal.getsignal(one) for one in _REQUESTS}
    heeded = [one for one in _REQUESTS if before[one] is not signal.SIG_IGN]

    def end(_number: int, _frame: FrameType | None) -> None:
        for one in heeded:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    for one in heeded:
        signal.signal(one, end)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for one in heeded:
            signal.signal(one, before[one])
