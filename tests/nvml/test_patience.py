from __future__ import annotations

from threading import Event

import pytest

from jupyter_mig import errors
from jupyter_mig.nvml.patience import Patience
from jupyter_mig.nvml.translation import error_for


class Attempts:
    """Something that answers with these NVML codes, one after the other; 0 is success."""

    def __init__(self, *codes: int) -> None:
        self.left = list(codes)

    def __call__(self) -> None:
        """Make one attempt."""
        if code := self.left.pop(0):
            raise error_for(code, "nvmlGpuInstanceDestroy")


def test_in_use_is_tried_again_until_it_works() -> None:
    """A moment of In Use is not an error."""
    attempts = Attempts(19, 19, 19, 0)
    Patience(30, Event()).insist(attempts)
    assert attempts.left == []


def test_only_in_use_is_tried_again() -> None:
    """What will not change by waiting is raised at once."""
    attempts = Attempts(19, 4, 0)
    with pytest.raises(errors.NoPermission):
        Patience(30, Event()).insist(attempts)
    assert attempts.left == [0]


def test_no_patience_is_one_attempt() -> None:
    """Zero seconds allow a single try."""
    attempts = Attempts(19, 0)
    with pytest.raises(errors.InUse):
        Patience(0, Event()).insist(attempts)
    assert attempts.left == [0]


def test_a_session_that_ends_has_no_patience_left() -> None:
    """Nobody waits for a driver that is closed."""
    over = Event()
    over.set()
    with pytest.raises(errors.InUse):
        Patience(3600, over).insist(Attempts(19))
