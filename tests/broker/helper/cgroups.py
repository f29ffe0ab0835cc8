"""Real cgroups of version 2, below one that is the test's own."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_mig.broker.helper.filter import bpf


def _mounted() -> Path | None:
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return next((Path(words[1]) for words in lines if words[2] == "cgroup2"), None)


def lacking() -> str:
    """Why there are none for a test here; empty if there are."""
    top = _mounted()
    if os.getuid() != 0 or top is None or not os.access(top, os.W_OK):
        return "only root, with cgroups of version 2, can filter"
    try:
        os.close(bpf.create_map(16, 1))
        with tree():
            return ""
    except OSError as error:
        return f"bpf or cgroups on {platform.release()}: {error.strerror}"


@contextmanager
def tree() -> Iterator[Path]:
    """A cgroup with nobody in it, removed afterwards with those below; they must be empty then."""
    top = _mounted()
    assert top is not None
    made = Path(tempfile.mkdtemp(prefix="mig-test-", dir=top))
    try:
        yield made
    finally:
        folders = sorted((path for path in made.rglob("*") if path.is_dir()), reverse=True)
        for folder in (*folders, made):
            folder.rmdir()


def below(parent: Path, name: str) -> Path:
    """A cgroup in another."""
    made = parent / name
    made.mkdir()
    return made


def within(cgroup: Path, uid: int, *command: str | Path) -> list[str]:
    """The command, as that user, from that cgroup."""
    enter = f'echo $$ > "{cgroup}/cgroup.procs" && exec "$@"'
    who = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    return ["/bin/sh", "-c", enter, "sh", *who, *map(str, command)]


def opening(node: Path, cgroup: Path, uid: int = 0) -> str:
    """What a user gets who opens a device node from a cgroup: nothing if it opens."""
    done = subprocess.run(
        within(cgroup, uid, "head", "--bytes=0", node),
        check=False,
        capture_output=True,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )
    return done.stderr.decode().strip().rpartition(": ")[2]
