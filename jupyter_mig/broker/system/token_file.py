"""The file with the broker's own token of the Hub: a secret of the user that the broker runs as."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

_ROOT = 0
_FOR_OTHERS = stat.S_IRWXO | stat.S_IWGRP


def trouble(file: Path, user: str) -> str:
    """What keeps it from being used by a broker that runs as ``user``; empty: nothing does, as far
    as whoever asks may see. A link is what it leads to.
    """
    try:
        found = file.stat()
    except PermissionError:
        return ""  # not for us to know: root, or the broker, will
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISREG(found.st_mode):
        return "it is no plain file"
    if not found.st_size:
        return "there is no token in it"
    return _readers(found, user)


def _readers(found: os.stat_result, user: str) -> str:
    """The broker has no group but its user's first, so that one alone may be let in."""
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return ""  # which is said where the broker starts
    if found.st_uid not in (_ROOT, account.pw_uid, os.geteuid()):
        return "it belongs to somebody else"
    for_group = bool(found.st_mode & stat.S_IRGRP)
    if found.st_mode & _FOR_OTHERS or (for_group and found.st_gid not in (_ROOT, account.pw_gid)):
        return "others can read it: chmod 640 or less"
    if os.geteuid() == _ROOT and not _can_read(found, account):
        return f"{user} cannot read it: chgrp {user}, chmod 640"
    return ""


def _can_read(found: os.stat_result, account: pwd.struct_passwd) -> bool:
    if found.st_uid == account.pw_uid:
        return bool(found.st_mode & stat.S_IRUSR)
    return found.st_gid == account.pw_gid and bool(found.st_mode & stat.S_IRGRP)
