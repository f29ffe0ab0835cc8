"""Jupyter Server: is our extension on, and do cells typed while waiting queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from jupyter_core.paths import jupyter_config_path
from jupyter_server.config_manager import recursive_update
from traitlets.config.loader import JSONFileConfigLoader, PyFileConfigLoader

from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem

_EXTENSION = "jupyter_mig"
_HOWTO = "When a kernel does not start"
_FILE = "jupyter_server_config"


class ServerFacts(msgspec.Struct, frozen=True):
    """What Jupyter Server's configuration files say together, and those that cannot be read."""

    config: Mapping[str, Any]
    unreadable: tuple[str, ...] = ()


def look() -> ServerFacts:
    """Read the files as Jupyter Server does, the most important last."""
    config: dict[str, Any] = {}
    unreadable: list[str] = []
    for folder in reversed(jupyter_config_path()):
        for path in _files(Path(folder)):
            try:
                recursive_update(config, _read(path))
            except Exception as error:  # noqa: BLE001, PERF203 - a .py file may raise anything
                unreadable.append(f"{path}: {error}")
    return ServerFacts(config, tuple(unreadable))


def check(facts: ServerFacts) -> Iterator[Finding]:
    """The extension, pending kernels, files that cannot be read."""
    server = facts.config.get("ServerApp", {})
    enabled = server.get("jpserver_extensions", {}).get(_EXTENSION)
    if enabled:
        yield ok("server extension", "enabled")
    else:
        yield problem(
            "server extension",
            "switched off by a configuration file" if enabled is False else "not enabled",
            f"jupyter server extension enable {_EXTENSION}",
            _HOWTO,
        )
    yield _pending(facts.config)
    for text in facts.unreadable:
        yield problem("configuration", text, "Mend the file; Jupyter Server stumbles on it, too.")


def _pending(config: Mapping[str, Any]) -> Finding:
    decided = [
        name
        for name, section in config.items()
        if isinstance(section, Mapping) and section.get("use_pending_kernels") is False
    ]
    if not decided:
        return ok("pending kernels", "on: cells typed while a kernel waits are queued")
    return note(
        "pending kernels",
        f"off by c.{decided[0]}.use_pending_kernels: cells typed while a kernel waits are lost",
        "Take that line out of the configuration; the extension then switches them on.",
        "Configuration",
    )


def _files(folder: Path) -> Iterator[Path]:
    """In the order in which they are read: the ``.d`` folder, then JSON, then Python."""
    below = sorted((folder / f"{_FILE}.d").glob("*.json"))
    named = [folder / f"{_FILE}.json", folder / f"{_FILE}.py"]
    return (path for path in (*below, *named) if path.is_file())


def _read(path: Path) -> dict[str, Any]:
    kind = PyFileConfigLoader if path.suffix == ".py" else JSONFileConfigLoader
    return dict(kind(path.name, path=str(path.parent)).load_config())
