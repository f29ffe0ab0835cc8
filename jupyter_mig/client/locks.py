"""A holder's own lock on its slice, beside that of its broker.

Brokers hand out only what nobody has locked. Theirs ends with their process; this one is an open
file of the processes that use the slice, and the kernel drops it when the last of them is gone. So
a slice in use is locked also while its broker is dead, and nobody has to let go of it.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from jupyter_mig.wire.messages import SliceView

log = logging.getLogger(__name__)


@contextmanager
def locked(mine: SliceView | None) -> Iterator[tuple[int, ...]]:
    """The open files that hold the lock, for a process to inherit (``pass_fds``); this process
    closes them at the end.
    """
    files = lock(mine)
    try:
        yield files
    finally:
        for file in files:
            os.close(file)


def lock(mine: SliceView | None) -> tuple[int, ...]:
    """Lock a slice's nodes; the open files that hold the lock, which are not inherited unless made
    so. A node that cannot be locked is left out: then the broker's own lock has to do.
    """
    nodes = mine.access_nodes if mine is not None else ()
    return tuple(file for node in nodes for file in _locked(node))


def _locked(node: str) -> Iterator[int]:
    try:
        file = os.open(node, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        log.debug("%s: not locked: %s", node, error.strerror)
        return
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        log.debug("%s: not locked: %s", node, error.strerror)
        return
    yield file
