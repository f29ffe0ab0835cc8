"""The read-only key of each lease: what a kernel is given in place of an identity.

A key is the HMAC of the lease's id under a secret of the broker's, so none need be kept: a broker
that comes back knows the keys that its predecessor gave.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import stat
from pathlib import Path

log = logging.getLogger(__name__)

SECRET_BYTES = 32


class Keys:
    """All keys there can be. Nothing of them is ever logged."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def kept_in(cls, path: Path) -> Keys:
        """The keys whose secret is in that file, which is made if it is not there. Where it cannot
        be, keys last as long as this broker: slices matter more than gauges.
        """
        try:
            return cls(_read(path) or _write(path))
        except OSError as error:
            log.warning("Keys of leases will not outlive this broker: %s", error)
            return cls(secrets.token_bytes(SECRET_BYTES))

    def of(self, lease_id: str) -> str:
        """The key of a lease."""
        return hmac.new(self._secret, lease_id.encode(), "sha256").hexdigest()

    def fits(self, lease_id: str, key: str) -> bool:
        """Whether that is the lease's key; takes as long for any wrong one."""
        return hmac.compare_digest(self.of(lease_id).encode(), key.encode())


def _read(path: Path) -> bytes:
    """The secret; empty if there is none that is whole and nobody else's to know."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return b""
    try:
        private = not stat.S_IMODE(os.fstat(file).st_mode) & 0o077
        secret = os.read(file, SECRET_BYTES + 1)
    finally:
        os.close(file)
    return secret if private and len(secret) == SECRET_BYTES else b""


def _write(path: Path) -> bytes:
    secret = secrets.token_bytes(SECRET_BYTES)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, secret)
    finally:
        os.close(file)
    draft.replace(path)
    return secret
