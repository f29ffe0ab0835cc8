"""What the demo's processes are told by environment: which node, whose settings."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from jupyter_mig.client.settings import SYSTEM_VARIABLE
from jupyter_mig.errors import JupyterMigError, UnknownDriver

DRIVER = "JUPYTER_MIG_DRIVER"
DEFAULT_DRIVER = "simulated:2xA100-SXM4-40GB"
_SIMULATED = "simulated:"

_QUIET_LAB = {"fetchNews": "false", "checkForUpdates": False}
"""A first start of JupyterLab asks about news; the demo has its own first thing to say."""


def private_directory() -> tempfile.TemporaryDirectory[str]:
    """Where everything goes that ends with the demo. In /tmp whatever ``TMPDIR`` says: the path of
    the broker's socket in it has a limit of 107 bytes.
    """
    return tempfile.TemporaryDirectory(prefix="jupyter-mig-demo-", dir="/tmp")


def driver(wanted: str | None, environ: Mapping[str, str]) -> str:
    """The node to simulate. UnknownDriver if ``wanted`` names hardware: a demo touches none."""
    if wanted is None:
        named = environ.get(DRIVER, "")
        return named if named.startswith(_SIMULATED) else DEFAULT_DRIVER
    if not wanted.startswith(_SIMULATED):
        raise UnknownDriver(
            f"The demo runs on simulated GPUs only, not on {wanted}.",
            next_step=f"jupyter mig demo --driver {DEFAULT_DRIVER}",
        )
    return wanted


def require_lab() -> None:
    """Raise unless JupyterLab and ipykernel can be imported."""
    missing = [
        name
        for module, name in (("jupyterlab", "JupyterLab"), ("ipykernel", "ipykernel"))
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise JupyterMigError(
            f"The demo needs {' and '.join(missing)}, not installed in {sys.prefix}.",
            next_step='pip install "jupyter-mig[demo]"',
        )


def environment(
    environ: Mapping[str, str], private: Path, driver: str, *, fresh: bool
) -> dict[str, str]:
    """For JupyterLab, its kernels and its broker; everything new is below ``private``.

    ``fresh`` hides the user's own Jupyter and IPython settings. The programs of this Python come
    first on ``PATH``, so that ``jupyter mig`` works in notebooks whether or not it is activated.
    """
    dropped = ("JUPYTER", "JPY_") if fresh else ("JUPYTER_MIG_", "JPY_")
    kept = {name: text for name, text in environ.items() if not name.startswith(dropped)}
    programs = str(Path(sys.executable).parent)
    return {
        **kept,
        **(_fresh(private) if fresh else {}),
        DRIVER: driver,
        SYSTEM_VARIABLE: str(private / "none"),  # a node's broker for all users has its real GPUs
        "PATH": os.pathsep.join(filter(None, (programs, kept.get("PATH")))),
        "JUPYTER_RUNTIME_DIR": _made(private / "jupyter"),
        "XDG_RUNTIME_DIR": _made(private / "run"),
    }


def _fresh(private: Path) -> dict[str, str]:
    lab = private / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    _made(lab)
    (lab / "notification.jupyterlab-settings").write_text(json.dumps(_QUIET_LAB), encoding="utf-8")
    return {
        "JUPYTER_CONFIG_DIR": _made(private / "config"),
        "JUPYTER_DATA_DIR": _made(private / "data"),
        "IPYTHONDIR": _made(private / "ipython"),
    }


def _made(directory: Path) -> str:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(directory)
