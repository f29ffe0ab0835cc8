"""Our errors, as Jupyter shows them best.

What a person gets to read depends on the route: ``POST /api/sessions`` answers ``str(error)``,
``POST /api/kernels`` the ``log_message`` of a Tornado ``HTTPError``, a pending kernel's model the
``str`` again. One exception that is both serves them all.
"""

from __future__ import annotations

from tornado.web import HTTPError

from jupyter_mig.errors import JupyterMigError


class StartRefused(HTTPError):
    """A kernel was not started, for the reason in ``error``."""

    def __init__(self, error: JupyterMigError) -> None:
        super().__init__(error.status, str(error), reason=error.kind.replace("-", " "))
        self.error = error

    def __str__(self) -> str:
        return str(self.error)
