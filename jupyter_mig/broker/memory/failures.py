"""Errors as the ledger keeps them: one text that begins with the error's kind."""

from __future__ import annotations

import logging

from jupyter_mig import errors

log = logging.getLogger(__name__)

HOPELESS = (errors.NoPermission, errors.NotSupported, errors.NoDriver)
"""Errors that asking again does not cure."""


def text_of(error: Exception) -> str:
    """An error as text. What is no error of ours is a bug: logged in full, kept in short."""
    if isinstance(error, errors.JupyterMigError):
        lines = (error.message, error.situation, error.next_step)
        return f"{error.kind}: " + "\n".join(line for line in lines if line)
    log.error("A driver call failed in a way that it must not", exc_info=error)
    return f"{errors.DriverError.kind}: {type(error).__name__}: {error}"


def error_in(text: str) -> errors.JupyterMigError:
    """The error that was kept as ``text``; the ledger's own words become a DriverError."""
    kind, colon, rest = text.partition(": ")
    known = {member.kind for member in errors.family(errors.DriverError)}
    if not colon or kind not in known:
        kind, rest = errors.DriverError.kind, text
    message, _, next_step = rest.partition("\n")
    return errors.rebuild(kind, message, next_step=next_step)
