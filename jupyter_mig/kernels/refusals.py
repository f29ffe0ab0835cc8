"""Our errors, as Jupyter shows them best.

What a person gets to read depends on the route: ``POST /api/sessions`` answers ``str(error)``,
``POST /api/kernels`` the ``log_message`` of a Tornado ``HTTPError``, a pending kernel's model the
``str`` again. One exception that is both serves them all.
"""

from __future__ import annotations

from collections.abc import Mapping

from tornado.web import HTTPError

from jupyter_mig.errors import Cancelled, JupyterMigError, LeaseEnded

_AGAIN: Mapping[type[JupyterMigError], str] = {
    Cancelled: "Start the kernel again if you still want it.",
    LeaseEnded: "Start the kernel again.",
}
"""What to do where whoever refused could not know that a kernel is meant."""


class StartRefused(HTTPError):
    """A kernel was not started, for the reason in ``error``, which then says what to do."""

    def __init__(self, error: JupyterMigError) -> None:
        error.next_step = error.next_step or _AGAIN.get(type(error), "")
        super().__init__(error.status, str(error), reason=error.kind.replace("-", " "))
        self.error = error

    def __str__(self) -> str:
        return str(self.error)
