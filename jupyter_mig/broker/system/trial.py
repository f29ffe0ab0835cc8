"""Whether a node's broker could start as its user: tried by a process of that user's."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

from jupyter_mig import errors
from jupyter_mig.broker.remote import listening
from jupyter_mig.broker.system.configuration import MIGBroker

_READ = "import encodings.ascii, encodings.idna, jupyter_mig.broker.running"
_READ_TLS = "import ssl, sys; ssl.create_default_context().load_cert_chain(*sys.argv[1:])"


def require_startable(own: MIGBroker) -> None:
    """Raise MalformedSpec if Python, this package or the TLS files are not for the broker's user to
    read. Only root can try as somebody else.
    """
    if own.tls_certificate:
        listening.tls(own.tls_certificate, own.tls_key)
    try:
        user = pwd.getpwnam(own.user)
    except KeyError:
        return  # which is said where the broker starts
    if os.geteuid() != 0:
        return
    trouble = _trouble(user, _READ)
    if trouble:
        raise errors.MalformedSpec(
            f"User {own.user} cannot run this Python, or this package.",
            situation=f"{sys.executable}: {trouble}",
            next_step="Install both where all users can read them, not in a home directory.",
        )
    files = (own.tls_certificate, own.tls_key) if own.tls_certificate else ()
    trouble = _trouble(user, _READ_TLS, *files) if files else ""
    if trouble:
        raise errors.MalformedSpec(
            f"User {own.user} cannot use the TLS certificate of the broker.",
            situation=f"{own.tls_certificate}, {own.tls_key}: {trouble}".replace("'", ""),
            next_step=f"{own.user} must be let read both: chgrp {own.user}, chmod 640.",
        )


def _trouble(user: pwd.struct_passwd, program: str, *arguments: str) -> str:
    """What a program says at its end if it fails; empty: it does not."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            check=False,
            capture_output=True,
            text=True,
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=(),
            cwd="/",
        )
    except OSError as error:
        return str(error.strerror)
    return (done.stderr.strip().splitlines() or ["it failed"])[-1] if done.returncode else ""
