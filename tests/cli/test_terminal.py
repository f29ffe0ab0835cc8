"""What the place we print to can show."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Iterator
from typing import TextIO

import pytest

from jupyter_mig.cli.terminal import Ink, Terminal, of


@pytest.fixture
def tty() -> Iterator[TextIO]:
    """The near end of a real pseudo-terminal."""
    far, near = pty.openpty()
    with os.fdopen(near, "w", encoding="utf-8") as stream:
        yield stream
    os.close(far)


def test_a_terminal_has_colours_and_an_edge(tty: TextIO) -> None:
    """Colours, a width, and UTF-8 when the stream encodes so."""
    found = of(tty, {"TERM": "xterm"})
    assert found.columns
    assert found.colours
    assert found.utf8


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_refused(tty: TextIO, environ: dict[str, str]) -> None:
    """https://no-color.org, and terminals that say they have none."""
    assert not of(tty, environ).colours


def test_a_file_is_no_terminal() -> None:
    """No colours, no edge, ASCII unless the encoding is UTF-8."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert of(stream, {"TERM": "xterm"}) == Terminal(None, colours=False, utf8=False)


def test_columns_limit_a_file_too(tty: TextIO) -> None:
    """``COLUMNS`` is a wish, wherever the output goes; nonsense is none."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert of(stream, {"COLUMNS": "66"}) == Terminal(66, colours=False, utf8=True)
    assert of(stream, {"COLUMNS": "0"}).columns is None
    assert of(tty, {"COLUMNS": "wide"}).columns == 80


def test_a_terminal_is_as_wide_as_it_is(tty: TextIO) -> None:
    """The size is that of the terminal we print to, not of another one."""
    fcntl.ioctl(tty, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 132, 0, 0))
    assert of(tty, {}).columns == 132


def test_paint_without_colours_is_the_text() -> None:
    """And so is nothing in any colour."""
    assert Terminal().paint("x", Ink.WRONG) == "x"
    assert Terminal(colours=True).paint("", Ink.WRONG) == ""
    assert Terminal(colours=True).paint("x", Ink.WRONG) == "\x1b[31mx\x1b[0m"
