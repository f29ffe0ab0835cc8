"""Command lines as people run them, on a simulated node of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from jupyter_mig.cli.demo import broker

DRIVER = "simulated:2xA100-SXM4-40GB?time_scale=0"
MIG = (sys.executable, "-m", "jupyter_mig.cli")


class CommandLine:
    """Runs ``jupyter mig`` in one environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = dict(environ)

    def __call__(
        self, *arguments: str, code: int = 0, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end; any other exit status than ``code`` is a failure, a traceback always."""
        done = subprocess.run(
            [*MIG, *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        return done


@contextmanager
def simulated(driver: str = DRIVER) -> Iterator[CommandLine]:
    """A node with nothing on it, its broker ended and its directory removed afterwards.

    The directory is directly below /tmp: socket paths must be short.
    """
    with tempfile.TemporaryDirectory(prefix="mig-", dir="/tmp") as place:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("JUPYTER")}
        environ = {
            **kept,
            "JUPYTER_MIG_DRIVER": driver,
            "XDG_RUNTIME_DIR": place,
            "JUPYTER_CONFIG_DIR": f"{place}/config",
            "JUPYTER_DATA_DIR": f"{place}/data",
            "PYTHONUTF8": "1",
        }
        try:
            yield CommandLine(environ)
        finally:
            broker.end(environ)


def running(mark: str) -> dict[int, str]:
    """The processes whose environment contains ``mark``, by pid, with their command lines."""
    everything = {int(path.name): path for path in Path("/proc").glob("[0-9]*")}
    return {
        pid: _read(path / "cmdline").replace("\0", " ")
        for pid, path in everything.items()
        if mark in _read(path / "environ")
    }


def _read(path: Path) -> str:
    """The file of a process; nothing if it is gone, a zombie, or somebody else's."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
