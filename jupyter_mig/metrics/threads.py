"""Blocking calls off the event loop, on threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def on_a_thread(call: Callable[[], Result]) -> asyncio.Future[Result]:
    """Begin a call; its result, in time.

    The thread is a daemon, unlike those of asyncio.to_thread: a driver call that hangs for ever
    must neither keep the process nor use up the loop's few threads.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Result] = loop.create_future()

    def work() -> None:
        try:
            value = call()
        except BaseException as error:  # noqa: BLE001 - whoever waits hears of whatever it was
            _tell(loop, result, result.set_exception, error)
        else:
            _tell(loop, result, result.set_result, value)

    Thread(target=work, name="readings", daemon=True).start()
    return result


def _tell(
    loop: asyncio.AbstractEventLoop,
    result: asyncio.Future[Result],
    how: Callable[[Result], None] | Callable[[BaseException], None],
    what: object,
) -> None:
    def unless_cancelled() -> None:
        if not result.done():
            how(what)  # type: ignore[arg-type]  # each is called with its own

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(unless_cancelled)
