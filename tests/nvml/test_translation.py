from __future__ import annotations

import pytest

from jupyter_mig import errors
from jupyter_mig.nvml import translation


@pytest.mark.parametrize(
    ("code", "kind", "advice"),
    [
        (1, errors.NoDriver, "nvidia-smi"),
        (3, errors.NotSupported, "-mig 1"),
        (4, errors.NoPermission, "mig/config"),
        (6, errors.NotFound, "look again"),
        (9, errors.NoDriver, "simulated:"),
        (12, errors.NoDriver, "simulated:"),
        (15, errors.GpuLost, "Xid"),
        (16, errors.GpuLost, "--gpu-reset"),
        (18, errors.NoDriver, "upgraded"),
        (19, errors.InUse, "DCGM"),
        (23, errors.InsufficientResources, "-lgi"),
    ],
)
def test_each_code_becomes_its_class_and_says_what_to_do(
    code: int, kind: type[errors.DriverError], advice: str
) -> None:
    """The reader learns what happened, from which call, and the next step."""
    error = translation.error_for(code, "nvmlDeviceGetCount")
    assert type(error) is kind
    assert (error.code, error.call) == (code, "nvmlDeviceGetCount")
    assert advice in error.next_step


@pytest.mark.parametrize("code", [*range(32), 999, 12345])
def test_every_code_can_be_shown_anywhere(code: int) -> None:
    """Texts are plain ASCII without quotes or percent signs, the first line short."""
    text = str(translation.error_for(code, "nvmlDeviceCreateGpuInstanceWithPlacement"))
    assert text.isascii()
    assert not set(text) & set("%'\"")
    assert len(text.splitlines()[0]) <= 80
    assert str(code) in text
