"""JupyterLab as a child process."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from jupyter_mig.errors import JupyterMigError

_PATIENCE_SECONDS = 15
"""What its shutdown may take; kernels get 5 seconds each, in parallel."""

_LAST_WORDS = 20
"""Lines of its log that are shown when it ends by itself."""


class Lab:
    """JupyterLab on a directory, listening on the loopback interface with a token of its own."""

    def __init__(
        self,
        environ: Mapping[str, str],
        directory: Path,
        port: int | None,
        arguments: Sequence[str] = (),
    ) -> None:
        self._token = secrets.token_hex(24)
        self._runtime = Path(environ["JUPYTER_RUNTIME_DIR"])
        self.log = self._runtime / "jupyterlab.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *_options(directory, port), *arguments],
                env={**environ, "JUPYTER_TOKEN": self._token},
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for us alone: Lab would ask whether it is meant, kernels would die.
                start_new_session=True,
            )

    def address(self, notebook: str) -> str:
        """The URL that opens ``notebook``, once the server listens."""
        record = self._runtime / f"jpserver-{self._process.pid}.json"
        while True:
            if self._process.poll() is not None:
                raise self._ended()
            try:
                url = json.loads(record.read_text(encoding="utf-8"))["url"]
                _require_listener(url)
            except (FileNotFoundError, json.JSONDecodeError, ConnectionRefusedError):
                time.sleep(0.05)  # not written, not yet in full, or written before it listens
            else:
                return f"{url}lab/tree/{notebook}?token={self._token}"

    def wait(self) -> None:
        """Return when the user shuts JupyterLab down from its own menu."""
        if self._process.wait():
            raise self._ended()

    def stop(self) -> None:
        """End it, its kernels first; harmless when it is over."""
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ended(self) -> JupyterMigError:
        last = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_WORDS:]
        return JupyterMigError(
            f"JupyterLab ended by itself with status {self._process.returncode}.",
            situation="\n".join(last),
        )


def _require_listener(url: str) -> None:
    """Raise ConnectionRefusedError if nobody listens there."""
    parts = urlsplit(url)
    socket.create_connection((parts.hostname, parts.port or 80), _PATIENCE_SECONDS).close()


def _options(directory: Path, port: int | None) -> list[str]:
    options = [
        "--no-browser",  # opened by us, when it answers and with the user's own environment
        f"--ServerApp.root_dir={directory}",
    ]
    if port is not None:
        options.append(f"--port={port}")
    if os.geteuid() == 0:
        options.append("--allow-root")  # a container: Lab listens on loopback only, with a token
    return options
