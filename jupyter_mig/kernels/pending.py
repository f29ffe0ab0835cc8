"""Jupyter's list of kernels that are being started.

``MultiKernelManager._pending_kernels`` holds a start until it has succeeded. Whoever stops that
kernel first waits for the start, so a start that waits for a slice could not be given up; and one
that failed stays listed for good, so that the first SIGTERM no longer ends the server
(jupyter_client#960). Both go away when a start is not listed while it waits or once it has
failed. There is no public way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def forget(kernel_manager: Any, kernel_id: str) -> Any:
    """Take the start off the list; what was there, if anything."""
    listed = getattr(getattr(kernel_manager, "parent", None), "_pending_kernels", {})
    return listed.pop(kernel_id, None)


@contextmanager
def unlisted(kernel_manager: Any, kernel_id: str) -> Iterator[None]:
    """Off the list while it waits; back on it to be launched, off it for good if it failed."""
    start = forget(kernel_manager, kernel_id)
    yield
    if start is not None:
        kernel_manager.parent._pending_kernels[kernel_id] = start  # noqa: SLF001
