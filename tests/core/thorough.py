"""The line as it would be served without looking first whether there is room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jupyter_mig.core import line
from jupyter_mig.core.turn import Turn


@contextmanager
def everybody_is_tried() -> Iterator[None]:
    """In turn, after every event."""

    def always(turn: Turn) -> bool:
        return bool(turn.state.index.waiting)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line, "_is_worthwhile", always)
        yield
