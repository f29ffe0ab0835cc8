"""The monitor: a widget that shows the slice of the notebook it is in.

::

    from jupyter_mig import SliceMonitor
    SliceMonitor()
"""

from __future__ import annotations

import atexit
import os
import time
from functools import lru_cache
from threading import Event
from typing import Any

from jupyter_mig.widget.card import STYLE, card
from jupyter_mig.widget.current import current_slice, no_key
from jupyter_mig.widget.face import NO_SLICE, Face, Portrait
from jupyter_mig.widget.keyhole import Keyhole
from jupyter_mig.widget.reader import Reader, Sight
from jupyter_mig.widget.words import line

try:
    from ipywidgets import HTML, VBox
except ImportError as error:
    raise ImportError(
        "SliceMonitor needs ipywidgets in the environment of this kernel: pip install ipywidgets. "
        "jupyter_mig.current_slice() works without it.",
        name="ipywidgets",
    ) from error

FIRST_LOOK_SECONDS = 1.0
"""How long a new monitor waits for its first reading, so as not to be shown empty."""


class SliceMonitor(VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Shows this program's slice: its memory, its utilization and the last five minutes, also
    while a cell runs. In a terminal, and in a notebook that is converted, it is one line of text.

    It shows what can be known: without a slice, a key or a broker it says what is missing. It
    sends nothing while nothing changes. :meth:`close` ends it; so does the end of the kernel.
    """

    def __init__(self, **layout: Any) -> None:
        """``layout`` is what every ipywidgets box takes."""
        self._card = HTML()
        self._text = ""
        self._seen = Event()
        super().__init__(children=(HTML(STYLE), self._card), **layout)
        self._begin()

    def _begin(self) -> None:
        mine = current_slice()
        if mine is None:
            self._wear(NO_SLICE)
            return
        self._portrait = Portrait(mine)
        reader = _reader()
        if reader is None:
            self.show(Sight(trouble=no_key()))
            return
        reader.follow(self)
        if not self._seen.wait(FIRST_LOOK_SECONDS):
            self._wear(Face(self._portrait.title, notes=("Waiting for the broker.",)))

    def show(self, sight: Sight) -> None:
        """Show what the reader saw. Called in its thread."""
        self._wear(self._portrait.face(sight, time.monotonic()))
        self._seen.set()

    def _wear(self, face: Face) -> None:
        self._text = line(face)
        self._card.value = card(face)

    def close(self) -> None:
        """Show nothing more. Called by ``close_all``, too."""
        reader = _reader()
        if reader is not None:
            reader.leave(self)
        for part in self.children:
            part.close()
        super().close()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """What is displayed; as text, what the monitor shows now."""
        bundle = super()._repr_mimebundle_(**options)
        return {**bundle, "text/plain": self._text}


@lru_cache(maxsize=1)
def _reader() -> Reader | None:
    """The one of this process; None if it was given no key to look with."""
    keyhole = Keyhole.of(os.environ)
    if keyhole is None:
        return None
    reader = Reader(keyhole.look)
    # A look under way when the interpreter goes would end in a traceback.
    atexit.register(reader.stop)
    return reader
