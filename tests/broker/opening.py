"""What a Unix user gets who opens a device node."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

CLOSED = os.strerror(errno.EACCES)
NOTHING_BEHIND = os.strerror(errno.ENXIO)
"""He may: there is only no driver behind it."""


def opening(node: Path, uid: int, gid: int | None = None) -> str:
    """Nothing if it opens, else the system's words; by a group of the same number if not said."""
    done = subprocess.run(
        ["/usr/bin/head", "--bytes=0", node],
        check=False,
        user=uid,
        group=uid if gid is None else gid,
        extra_groups=[],
        capture_output=True,
        env={"LC_ALL": "C"},
    )
    return done.stderr.decode().strip().rpartition(": ")[2]
