from __future__ import annotations

import pytest

from jupyter_mig.core.policy import Limits


@pytest.mark.parametrize(
    ("asked", "allowed", "waits"),
    [(None, None, None), (None, 5.0, 5.0), (9.0, None, 9.0), (9.0, 5.0, 5.0), (0.0, 5.0, 0.0)],
)
def test_no_longer_than_both(
    asked: float | None, allowed: float | None, waits: float | None
) -> None:
    """A request waits as long as it asks to, and no longer than it may."""
    assert Limits("r", wait_seconds=allowed).patience(asked) == waits
