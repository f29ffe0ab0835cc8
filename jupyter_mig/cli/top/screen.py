"""A terminal taken over for a while, and given back as it was."""

from __future__ import annotations

import os
import select
import signal
import termios
import tty
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Literal, TextIO

Awaited = Literal["time", "resized", "over"]

_TAKE = "\x1b[?1049h\x1b[?25l\x1b[?7l"  # another page, no cursor, no wrapping of long lines
_GIVE_BACK = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_PAGE = "\x1b[H", "\x1b[K", "\x1b[J"
_ENDS = frozenset(b"qQ\x04")
_DISABLED = b"\0"


class Screen:
    """Writes pages to ``output`` and listens to ``keys``; ``woken`` is readable when the window has
    another size.
    """

    def __init__(self, output: TextIO, keys: int | None, woken: int) -> None:
        self._output = output
        self._keys = keys
        self._woken = woken

    def show(self, lines: Iterable[str]) -> None:
        """Draw a page over the last one. What does not fit below is left out, and that is said."""
        rows = os.get_terminal_size(self._output.fileno()).lines or 24
        whole = list(lines)
        fitting = whole if len(whole) <= rows else [*whole[: rows - 1], f"... {len(whole)} lines"]
        body = "\r\n".join(line + _REST_OF_LINE for line in fitting)
        self._write(_HOME + body + _REST_OF_PAGE)

    def pause(self, seconds: float) -> Awaited:
        """Wait for time to pass, a window of another size, or the key that ends it."""
        watched = [self._woken] if self._keys is None else [self._woken, self._keys]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._keys in ready and self._is_over():
            return "over"
        if self._woken in ready:
            os.read(self._woken, 4096)
            return "resized"
        return "time"

    def _is_over(self) -> bool:
        """Whether the keys pressed have the one that ends it. A terminal that hung up does, too."""
        try:
            pressed = os.read(self._keys or 0, 1024)
        except OSError:
            return True
        return not pressed or not _ENDS.isdisjoint(pressed)

    def _write(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()


@contextmanager
def taken_over(output: TextIO, keys: TextIO) -> Iterator[Screen]:
    """The terminal that is ``output``; and its keys, if ``keys`` is a terminal, too."""
    with ExitStack() as taken:
        woken = _woken_by_resizes(taken)
        listened = keys.fileno() if keys.isatty() else None
        if listened is not None:
            _take_keys(taken, listened)
        taken.callback(print, _GIVE_BACK, end="", file=output, flush=True)
        print(_TAKE, end="", file=output, flush=True)
        yield Screen(output, listened, woken)


def _woken_by_resizes(taken: ExitStack) -> int:
    woken, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    taken.callback(os.close, woken)
    taken.callback(os.close, waking)

    def resized(_number: int, _frame: FrameType | None) -> None:
        with suppress(BlockingIOError):  # full of earlier ones, which do as well
            os.write(waking, b"\0")

    taken.callback(signal.signal, signal.SIGWINCH, signal.signal(signal.SIGWINCH, resized))
    return woken


def _take_keys(taken: ExitStack, keys: int) -> None:
    """Keys one by one and not shown; Ctrl-C is still one. Ctrl-Z is not: it would leave the
    terminal as it is now.
    """
    taken.callback(termios.tcsetattr, keys, termios.TCSAFLUSH, termios.tcgetattr(keys))
    tty.setcbreak(keys)
    now = termios.tcgetattr(keys)
    now[6][termios.VSUSP] = _DISABLED
    termios.tcsetattr(keys, termios.TCSAFLUSH, now)
