"""Builds the front end from its TypeScript, if what is built is not of these sources.

Run as a program it builds; with ``test`` it builds and runs the front end's own tests; with
``lint`` it looks at the sources.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import node

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "jupyter_mig" / "labextension"
STAMP = BUILT / "sources.sha256"
"""Of which sources the built files are. (Times of files say nothing after a checkout or a copy.)"""

SOURCES = ("package.json", "package-lock.json", "tsconfig.json", "src", "style", "schema")


class CannotBuildError(RuntimeError):
    """The front end is missing or old, and cannot be built here."""


def is_fresh() -> bool:
    """Whether the built files are of the sources as they are now. Without sources: whether there
    are any.
    """
    return STAMP.is_file() and STAMP.read_text() == _digest()


def ensure() -> None:
    """Build unless it is fresh. Raises :class:`CannotBuildError`."""
    if is_fresh():
        return
    found = _node()
    _install(found)
    _run([*found.npm, "run", "build"], found)
    STAMP.write_text(_digest())


def test() -> None:
    """Build, and run the front end's own tests. Raises :class:`CannotBuildError`."""
    ensure()
    _script("test")


def lint() -> None:
    """Look at the sources: form, likely mistakes. Raises :class:`CannotBuildError`."""
    _script("lint")


def _script(name: str) -> None:
    """One of package.json's."""
    found = _node()
    _install(found)
    _run([*found.npm, "run", "--silent", name], found)


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(_sources()):
        digest.update(path.relative_to(HERE).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for name in SOURCES:
        path = HERE / name
        if path.is_file():
            yield path
        yield from (each for each in path.rglob("*") if each.is_file())


def _node() -> node.Node:
    found = node.find()
    if found is None:
        raise CannotBuildError(
            f"The JupyterLab extension has to be built, and that needs {node.NEEDED} with npm. "
            f"Install it, or: pip install '{node.PACKAGE}'. A source distribution or a wheel "
            "carries the built extension and needs neither."
        )
    return found


def _install(found: node.Node) -> None:
    """Install what the lock file names, unless that is what is there."""
    installed, lock = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        _run([*found.npm, "ci", "--no-progress"], found)
        installed.touch()


def _run(command: list[str], found: node.Node) -> None:
    """Run it in our directory with that Node.js first on PATH; npm's scripts look for it there."""
    path = os.pathsep.join((str(Path(found.node).parent), os.environ.get("PATH", "")))
    run = subprocess.run(command, cwd=HERE, env={**os.environ, "PATH": path}, check=False)
    if run.returncode:
        raise CannotBuildError(
            f"{' '.join(command)} failed in {HERE} with status {run.returncode}: see above."
        )


if __name__ == "__main__":
    try:
        {"": ensure, "test": test, "lint": lint}["".join(sys.argv[1:])]()
    except CannotBuildError as error:
        sys.exit(str(error))
