"""The exit status of an error."""

from __future__ import annotations

import pytest

from jupyter_mig import errors
from jupyter_mig.cli import exits
from jupyter_mig.cli.exits import Exit


@pytest.mark.parametrize("kind", errors.family(), ids=lambda kind: kind.kind)
def test_each_error_has_the_status_of_its_branch(kind: type[errors.JupyterMigError]) -> None:
    """Scripts tell usage, refusal and an unusable node apart."""
    branches = {
        errors.BadRequest: Exit.USAGE,
        errors.Refused: Exit.REFUSED,
        errors.DriverError: Exit.UNUSABLE,
        errors.BrokerError: Exit.UNUSABLE,
        errors.LogError: Exit.UNUSABLE,
    }
    expected = next(
        (code for branch, code in branches.items() if branch in kind.__mro__), Exit.FAILED
    )
    assert exits.of(kind("x")) is expected
