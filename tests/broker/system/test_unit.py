"""The systemd unit that the package brings."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[3] / "jupyter_mig" / "etc" / "systemd" / "jupyter-mig.service"
EXECUTABLE = "/opt/jupyter_mig/bin/jupyter-mig"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_reads_it_without_complaint(tmp_path: Path) -> None:
    """Every line, with a program that is there in place of ours."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(EXECUTABLE, shutil.which("true") or ""))
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_it_leaves_root_what_it_needs_and_no_more() -> None:
    """Becoming another user, making and giving away nodes, cutting GPUs, seeing, ending."""
    (line,) = re.findall(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE)
    needed = (
        "SETUID SETGID MKNOD CHOWN FOWNER DAC_OVERRIDE DAC_READ_SEARCH SYS_ADMIN SYS_PTRACE KILL"
    )
    assert line.split() == [f"CAP_{name}" for name in needed.split()]
