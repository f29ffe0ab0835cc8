"""The systemd units that the package brings."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jupyter_mig.wire import meeting

UNITS = Path(__file__).parents[3] / "jupyter_mig" / "etc" / "systemd"
EXECUTABLE = "/opt/jupyter_mig/bin/jupyter-mig"
NEWER_THAN_254 = "Unknown key 'FileDescriptorStorePreserve' in section [Service], ignoring."


def _value(unit: str, key: str) -> str:
    (value,) = re.findall(rf"^{key}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)
    return str(value)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_reads_them_without_complaint(tmp_path: Path) -> None:
    """Every line, with a program that is there in place of ours, but what it is too old to know."""
    for unit in UNITS.iterdir():
        text = unit.read_text().replace(EXECUTABLE, shutil.which("true") or "")
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *tmp_path.iterdir()],
        check=False,
        capture_output=True,
        text=True,
    )
    complaints = [line for line in done.stderr.splitlines() if not line.endswith(NEWER_THAN_254)]
    assert (done.returncode, complaints) == (0, [])


def test_it_leaves_root_what_it_needs_and_no_more() -> None:
    """Becoming another user, making and giving away nodes, cutting GPUs, seeing, ending."""
    needed = (
        "SETUID SETGID MKNOD CHOWN FOWNER DAC_OVERRIDE DAC_READ_SEARCH SYS_ADMIN SYS_PTRACE KILL"
    )
    left = _value("jupyter-mig.service", "CapabilityBoundingSet")
    assert left.split() == [f"CAP_{name}" for name in needed.split()]


def test_the_door_is_where_clients_look() -> None:
    """And it is not removed with the service's directory."""
    assert _value("jupyter-mig.socket", "ListenStream") == meeting.SYSTEM_SOCKET
    assert _value("jupyter-mig.service", "RuntimeDirectoryPreserve") == "yes"


def test_a_broker_that_cannot_start_yet_is_given_time() -> None:
    """For a driver that is loaded late, a hundred seconds; giving up would shut the door."""
    least = float(_value("jupyter-mig.service", "RestartSec"))
    assert least * int(_value("jupyter-mig.service", "StartLimitBurst")) >= 100
    assert _value("jupyter-mig.service", "StartLimitIntervalSec") == "5min"


def test_names_of_what_is_kept_fit_into_a_variable() -> None:
    """Linux takes 128 KiB; the service would not start again with more."""
    longest = len("p4194304-12345678901234:")
    most = int(_value("jupyter-mig.service", "FileDescriptorStoreMax"))
    assert most * longest < 128 * 1024
