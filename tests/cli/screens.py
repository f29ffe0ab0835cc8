"""A terminal with a shell in it, as somebody sits before."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

PROMPT = "ready> "
_PATIENCE_SECONDS = 30.0


class Shell(NamedTuple):
    """How a shell is started without anybody's settings, and what keeps its lines plain."""

    command: tuple[str, ...]
    terminal: str
    plain: str


BASH = Shell(
    ("bash", "--norc", "--noprofile", "-i"), "xterm", "bind 'set enable-bracketed-paste off'"
)
ZSH = Shell(("zsh", "-f", "-i"), "dumb", "unset zle_bracketed_paste")


class Screen:
    """What is typed and what is shown. ``seen`` is all that has not been asked for yet."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self.seen = ""

    def type(self, text: str) -> None:
        r"""Press keys: ``\x03`` is Ctrl-C, ``\x1a`` is Ctrl-Z."""
        os.write(self._terminal, text.encode())

    def until(self, pattern: str) -> str:
        """Wait until the pattern is shown; everything up to its end."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while (found := re.search(pattern, self.seen)) is None:
            left = give_up_at - time.monotonic()
            assert left > 0, self.seen
            assert select.select([self._terminal], [], [], left)[0], self.seen
            self.seen += os.read(self._terminal, 65536).decode()
        shown, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return shown

    def command(self, line: str) -> str:
        """Run a line to its end; what it showed."""
        self.type(f"{line}\n")
        self.until(re.escape(line))
        return self.until(PROMPT).removesuffix(PROMPT)


@contextmanager
def shell(environ: Mapping[str, str], kind: Shell = BASH) -> Iterator[Screen]:
    """An interactive shell with job control, in a session of its own on a terminal of its own."""
    far, near = pty.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", *kind.command],
        env={
            **environ,
            "PS1": PROMPT,
            "TERM": kind.terminal,
            "COLUMNS": "100",
            "INPUTRC": os.devnull,
        },
        stdin=near,
        stdout=near,
        stderr=near,
    ) as process:
        os.close(near)
        screen = Screen(far)
        try:
            screen.until(PROMPT)
            screen.command(kind.plain)
            yield screen
        finally:
            os.close(far)
            process.kill()
