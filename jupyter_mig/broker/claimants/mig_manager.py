"""GPUs that NVIDIA's mig-manager cuts: as a service once at boot, or at any time for Kubernetes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from jupyter_mig.broker.claimants import daemons
from jupyter_mig.broker.claimants.claimant import Claimant
from jupyter_mig.broker.claimants.files import Unreadable, below, names

NAME = "mig-manager"
UNIT = "nvidia-mig-manager.service"
REMEDY = (
    "systemctl disable nvidia-mig-manager; or leave the cutting to it: static_gpus; or, if it only"
    " sets the first layout at boot, name the GPUs in claimed_gpus_are_ours."
)
REMEDY_IN_KUBERNETES = "Take the label nvidia.com/mig.config and the mig-manager off this node."

_PLACES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)


def claimants(root: Path) -> Iterator[Claimant]:
    """The service, if it is enabled, and the one of Kubernetes, if it runs."""
    try:
        link = _enabled(root)
    except Unreadable as error:
        yield Claimant(NAME, str(error), REMEDY, everything=True, at_boot=True)
    else:
        if link is not None:
            yield Claimant(NAME, str(link), REMEDY, everything=True, at_boot=True)
    for daemon in daemons.find(root, "nvidia-mig-manager")[:1]:
        source = f"its process (pid {daemon.pid}), which cuts GPUs when a label tells it to"
        yield Claimant(NAME, source, REMEDY_IN_KUBERNETES, everything=True)


def _enabled(root: Path) -> Path | None:
    """The link by which systemd starts it; None if it would not be started."""
    units = [below(root, place) / UNIT for place in _PLACES]
    there = [unit for unit in units if os.path.lexists(unit)]
    if not there or any(_is_masked(unit) for unit in there):
        return None
    links = [
        below(root, place) / folder / UNIT
        for place in _PLACES
        for folder in names(below(root, place))
        if folder.endswith((".wants", ".requires"))
    ]
    return next((link for link in links if os.path.lexists(link)), None)


def _is_masked(unit: Path) -> bool:
    return unit.is_symlink() and str(unit.readlink()) == os.devnull
