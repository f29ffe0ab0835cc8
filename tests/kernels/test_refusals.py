"""Our errors as Jupyter's routes show them, and the kernel's environment."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from tornado.web import HTTPError

from jupyter_mig import errors
from jupyter_mig.kernels.environment import with_slice
from jupyter_mig.kernels.refusals import StartRefused
from jupyter_mig.server.logging import RefusalsInOneLine
from jupyter_mig.wire.messages import SliceView

NO_ROOM = errors.NoRoom(
    "No 1g.5gb slice is free.", situation="Free now: 2g.10gb.", next_step="Choose that one."
)


def test_a_refusal_is_an_http_error_that_reads_as_its_message() -> None:
    """POST /api/sessions shows str(), POST /api/kernels status, message and reason."""
    refusal = StartRefused(NO_ROOM)
    text = "No 1g.5gb slice is free.\nFree now: 2g.10gb.\nChoose that one."
    assert isinstance(refusal, HTTPError)
    assert (str(refusal), refusal.log_message) == (text, text)
    assert (refusal.status_code, refusal.reason) == (503, "no room")


@pytest.mark.parametrize("kind", errors.family())
def test_every_error_can_be_shown(kind: type[errors.JupyterMigError]) -> None:
    """Each has an HTTP status, and a reason that is legal in a status line."""
    refusal = StartRefused(kind("One line."))
    assert 400 <= refusal.status_code < 600
    assert (refusal.reason or "").replace(" ", "").isalpha()


@pytest.mark.parametrize("kind", [errors.Cancelled, errors.LeaseEnded])
def test_what_is_over_says_how_to_begin_again(kind: type[errors.JupyterMigError]) -> None:
    """The broker does not know what its slices are for; what it does say stands."""
    assert str(StartRefused(kind("It is over."))).startswith("It is over.\nStart the kernel again")
    assert str(StartRefused(kind("It is over.", next_step="Wait."))) == "It is over.\nWait."


SLICE = SliceView("MIG-1", "1g.5gb", 5 << 30, 14, "GPU-1", 0, "NVIDIA A100", 7)


def test_the_slice_wins_over_what_the_spec_or_the_server_set() -> None:
    """A kernel sees its slice, whatever CUDA_VISIBLE_DEVICES was before."""
    before = {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "0",
        "JUPYTER_MIG_SIMULATED": "1",
        "JUPYTER_DEFAULT_PROVISIONER_NAME": "mig-provisioner",
    }
    after = with_slice(before, SLICE, lease_id="L", key="K", socket=Path("/run/s"), simulated=False)
    assert after == {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "MIG-1",
        "NVIDIA_VISIBLE_DEVICES": "MIG-1",
        "JUPYTER_MIG_UUID": "MIG-1",
        "JUPYTER_MIG_LEASE": "L",
        "JUPYTER_MIG_KEY": "K",
        "JUPYTER_MIG_PROFILE": "1g.5gb",
        "JUPYTER_MIG_MEMORY_BYTES": str(5 << 30),
        "JUPYTER_MIG_GPU": "NVIDIA A100",
        "JUPYTER_MIG_GPU_INDEX": "0",
        "JUPYTER_MIG_SOCKET": "/run/s",
    }
    assert before["CUDA_VISIBLE_DEVICES"] == "0"


def test_a_simulated_slice_says_so_to_the_kernel() -> None:
    """Programs can tell, and the demo does."""
    after = with_slice({}, SLICE, lease_id="L", key="", socket=Path("/run/s"), simulated=True)
    assert after["JUPYTER_MIG_SIMULATED"] == "1"
    assert "JUPYTER_MIG_KEY" not in after


def _logged(error: BaseException, text: str) -> None:
    logger = logging.getLogger("jupyter_mig.test")
    for _ in range(2):
        logger.error(text, exc_info=(type(error), error, None))


def test_a_refusal_is_logged_once_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Jupyter logs it as often as it passes by; faults of the program are left as they are."""
    only = RefusalsInOneLine()
    logger = logging.getLogger("jupyter_mig.test")
    logger.addFilter(only)
    try:
        _logged(StartRefused(NO_ROOM), "boom")
        _logged(asyncio.CancelledError(), "Uncaught exception GET /api/kernels/1/channels")
        refusals = list(caplog.records)
        _logged(RuntimeError("a bug"), "boom")
    finally:
        logger.removeFilter(only)
    assert [(record.levelname, record.exc_info) for record in refusals] == [("WARNING", None)]
    assert refusals[0].getMessage() == (
        "Kernel not started: No 1g.5gb slice is free. Free now: 2g.10gb. Choose that one."
    )
    assert len(caplog.records) == 3
