"""``jupyter mig top`` as it runs: on a terminal, and where there is none."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import struct
import termios
from collections.abc import Iterator

import pytest

from jupyter_mig.cli.exits import Exit
from tests.cli.nodes import MIG, CommandLine, running, simulated
from tests.cli.screens import PROMPT, Screen, shell

TAKEN, GIVEN_BACK = re.escape("\x1b[?1049h"), re.escape("\x1b[?1049l")
PAGE_END = re.escape("\x1b[J")


@pytest.fixture(scope="module")
def mig() -> Iterator[CommandLine]:
    """One node for all tests of this file."""
    with simulated() as command_line:
        yield command_line


@pytest.fixture
def top(mig: CommandLine) -> Iterator[Screen]:
    """A terminal on which it runs; when the test is over it has ended and all is as before."""
    with shell(mig.environ) as screen:
        before = screen.command("stty -g")
        _resize(screen, rows=24, columns=80)
        screen.type(f"{_command()} --interval 0.2\n")
        screen.until(TAKEN)
        screen.until(PAGE_END)
        yield screen
        screen.until(GIVEN_BACK)
        screen.until(PROMPT)
        assert screen.command("stty -g") == before


def _command() -> str:
    return " ".join((*MIG, "top"))


def _resize(screen: Screen, *, rows: int, columns: int) -> None:
    size = struct.pack("HHHH", rows, columns, 0, 0)
    fcntl.ioctl(screen._terminal, termios.TIOCSWINSZ, size)


def _bars(page: str) -> list[str]:
    """The drawn GPUs, without colours."""
    plain = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", page)
    return [line for line in plain.splitlines() if line.startswith("│")]


def test_it_goes_on_until_q(top: Screen) -> None:
    """Page after page; other keys change nothing."""
    top.type("x\n\x1a")
    for _ in range(3):
        assert "GPU 1" in top.until(PAGE_END)
    top.type("q")


def test_control_c_ends_it_with_status_zero(top: Screen) -> None:
    """The usual way to end what goes on for ever."""
    top.type("\x03")
    top.until(GIVEN_BACK)
    top.until(PROMPT)
    assert top.command("echo status $?") == "\r\nstatus 0\r\n"
    top.seen = "\x1b[?1049l" + PROMPT  # the fixture's turn


def test_sigterm_ends_it_cleanly(top: Screen, mig: CommandLine) -> None:
    """Whoever ends it from outside."""
    (pid,) = [
        pid
        for pid, line in running(mig.environ["XDG_RUNTIME_DIR"]).items()
        if line.strip().endswith("top --interval 0.2")
    ]
    os.kill(pid, signal.SIGTERM)


def test_it_follows_the_window(top: Screen) -> None:
    """A narrower window, a tiny one, a wide one: no line is wider, no page longer."""
    for rows, columns in ((24, 60), (4, 10), (40, 120)):
        _resize(top, rows=rows, columns=columns)
        top.until(PAGE_END)
        page = top.until(PAGE_END)
        assert all(len(bar) <= columns for bar in _bars(page))
        assert page.count("\n") < rows
    assert len(_bars(page)) == 2
    top.type("q")


def test_a_broker_that_is_killed_comes_back(top: Screen, mig: CommandLine) -> None:
    """The next look starts another."""
    (broker,) = re.findall(r"broker pid (\d+)", top.until(PAGE_END))
    os.kill(int(broker), signal.SIGKILL)
    found = broker
    while found == broker:
        found = re.findall(r"broker pid (\d+)|$", top.until(PAGE_END))[0] or broker
    top.type("q")


def test_a_pipe_gets_one_picture(mig: CommandLine) -> None:
    """No escape sequence, no end to wait for; and a terminal that is dumb gets no more."""
    done = mig("top")
    assert done.stdout.startswith("SIMULATED NVIDIA GPUs")
    assert "\x1b" not in done.stdout
    assert mig("top", LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii").stdout.isascii()
    with shell({**mig.environ}) as screen:
        assert "\x1b[?" not in screen.command(f"TERM=dumb {_command()}")
        assert "\x1b[?" not in screen.command(f"{_command()} --once")


def test_json_is_one_picture(mig: CommandLine) -> None:
    """The broker's views, by name."""
    picture = json.loads(mig("top", "--json").stdout)
    assert set(picture) == {"broker", "node", "leases", "readings"}


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "inf"])
def test_an_impossible_interval_is_usage(mig: CommandLine, interval: str) -> None:
    """And so is one that would keep the broker busy."""
    assert "interval" in mig("top", "--interval", interval, code=Exit.USAGE).stderr
