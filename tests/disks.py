"""Disks that can be filled and made read-only. Only root can mount them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(mount: Path, size: str) -> Iterator[Path]:
    """A file system of that size (as mount takes it) at a new directory of ours alone."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(mount)],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.decode()}")
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)
