"""What the demo's processes are told."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from jupyter_mig.cli.demo import settings
from jupyter_mig.client import Settings
from jupyter_mig.errors import UnknownDriver


@pytest.mark.parametrize(
    ("wanted", "environ", "driver"),
    [
        (None, {}, settings.DEFAULT_DRIVER),
        (None, {"JUPYTER_MIG_DRIVER": "nvml"}, settings.DEFAULT_DRIVER),
        (None, {"JUPYTER_MIG_DRIVER": "simulated:1xA30"}, "simulated:1xA30"),
        ("simulated:1xH200", {"JUPYTER_MIG_DRIVER": "simulated:1xA30"}, "simulated:1xH200"),
    ],
)
def test_the_node_is_always_simulated(
    wanted: str | None, environ: dict[str, str], driver: str
) -> None:
    """What was asked for, else what the environment says if that is simulated, else two A100."""
    assert settings.driver(wanted, environ) == driver


def test_hardware_is_refused() -> None:
    """A demo that takes a real GPU away from somebody is none."""
    with pytest.raises(UnknownDriver, match="not on nvml"):
        settings.driver("nvml", {})


def test_the_users_settings_are_out_of_sight(tmp_path: Path) -> None:
    """Nothing of Jupyter's or ours comes through, and new files go below the private directory."""
    environ = settings.environment(
        {"JUPYTER_CONFIG_DIR": "/home/me", "JUPYTER_MIG_SOCKET": "/s", "JPY_PARENT_PID": "1",
         "HOME": "/home/me", "PATH": "/bin", "JUPYTER_MIG_SYSTEM": __file__},
        tmp_path,
        "simulated:1xA30",
        fresh=True,
    )  # fmt: skip
    assert environ["HOME"] == "/home/me"
    assert environ["PATH"].endswith(":/bin")
    assert environ["JUPYTER_MIG_DRIVER"] == "simulated:1xA30"
    assert "JUPYTER_MIG_SOCKET" not in environ
    assert "JPY_PARENT_PID" not in environ
    assert Settings.from_environment(environ).system is None
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        assert Path(environ[name]).is_relative_to(tmp_path)


def test_the_users_settings_can_be_wanted(tmp_path: Path) -> None:
    """But the broker is the demo's own all the same."""
    environ = settings.environment(
        {"JUPYTER_CONFIG_DIR": "/home/me", "JUPYTER_MIG_SOCKET": "/s", "XDG_RUNTIME_DIR": "/run"},
        tmp_path,
        "simulated:1xA30",
        fresh=False,
    )
    assert environ["JUPYTER_CONFIG_DIR"] == "/home/me"
    assert "JUPYTER_MIG_SOCKET" not in environ
    runtime = Path(environ["XDG_RUNTIME_DIR"])
    assert runtime.is_relative_to(tmp_path)
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
