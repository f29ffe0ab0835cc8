"""Where a user's broker lives: a private directory on local disk, one for each kind of node.

``$XDG_RUNTIME_DIR/jupyter-mig/KEY`` or, without that, ``/tmp/jupyter-mig-UID/KEY``. Never the
home: NFS homes are shared between hosts. The key is made of user, driver, inventory,
visible devices and boot, so that what belongs apart never meets.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from jupyter_mig import errors
from jupyter_mig.client.settings import RUNTIME_VARIABLE, Settings
from jupyter_mig.wire import meeting

FALLBACK = Path("/tmp")  # noqa: S108 - what is made in it is checked for owner and mode
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ADVICE = f"Set {RUNTIME_VARIABLE} to a short directory of yours on a local disk, mode 0700."


def directory_for(settings: Settings) -> Path:
    """The directory of the broker that these settings mean; it need not exist yet."""
    return _base(settings) / _key(settings)


def _base(settings: Settings) -> Path:
    runtime = settings.runtime_directory
    # Containers and `su` often leave the variable pointing at a directory that is not there.
    if runtime is not None and runtime.is_dir():
        return runtime / "jupyter-mig"
    return FALLBACK / f"jupyter-mig-{os.getuid()}"


def _key(settings: Settings) -> str:
    boot_id = BOOT_ID.read_text(encoding="ascii").strip()
    parts = (
        str(os.getuid()),
        settings.driver,
        settings.inventory,
        settings.visible_devices,
        boot_id,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def prepare(directory: Path) -> None:
    """Make a broker's directory, or make sure that the one there can be trusted.

    Raises BadPlace if it is somebody else's, open to others, a link, or too deep.
    """
    require_short(directory / meeting.SOCKET)
    for folder in (directory.parent, directory):
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise errors.BadPlace(
                f"The broker's directory cannot be made: {error.strerror}.",
                situation=f"The directory is {folder}.",
                next_step=_ADVICE,
            ) from error
        _require_private(folder)


def require_usable(directory: Path) -> None:
    """Raise BadPlace if no broker could live there; makes nothing.

    What is there must be trusted; the nearest folder above what is missing must be writable.
    """
    require_short(directory / meeting.SOCKET)
    for folder in (directory.parent, directory):
        if os.path.lexists(folder):
            _require_private(folder)
    nearest = next(one for one in (directory, *directory.parents) if one.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise errors.BadPlace(
            "The broker's directory cannot be made or written.",
            situation=f"The directory is {directory}, and {nearest} is closed to you.",
            next_step=_ADVICE,
        )


def require_short(socket: Path) -> None:
    """Raise BadPlace if the path is longer than a Unix socket's may be."""
    length = len(os.fsencode(socket))
    if length > meeting.LONGEST_SOCKET_PATH_BYTES:
        raise errors.BadPlace(
            f"The broker's socket path is too long: {length} bytes.",
            situation=f"{meeting.LONGEST_SOCKET_PATH_BYTES} are allowed. The path is {socket}.",
            next_step=_ADVICE,
        )


def _require_private(folder: Path) -> None:
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        problem = "is a link"
    elif found.st_uid != os.getuid():
        problem = f"belongs to user {found.st_uid}"
    elif found.st_mode & 0o077:
        problem = "is open to others"
    else:
        return
    raise errors.BadPlace(
        f"The broker's directory {problem}.",
        situation=f"The directory is {folder}.",
        next_step=_ADVICE,
    )
