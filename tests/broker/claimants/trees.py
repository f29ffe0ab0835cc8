"""File systems that tell of claimants."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from jupyter_mig.broker.claimants import mig_manager
from jupyter_mig.core.geometry import Gpu

SLURM_CONF = "etc/slurm/slurm.conf"
GRES_CONF = "etc/slurm/gres.conf"
PLUGINS = "var/lib/kubelet/device-plugins"


def gpu(index: int = 0, minor: int | None = None) -> Gpu:
    """A GPU with a UUID that tells its index."""
    uuid = f"GPU-00000000-0000-0000-0000-{index:012d}"
    return Gpu(uuid, index, "NVIDIA A100", index if minor is None else minor, 40 << 30, True)


def write(root: Path, file: str, text: str) -> Path:
    """A file on that system."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def process(root: Path, name: str, *arguments: str, pid: int = 4711, **environ: str) -> Path:
    """A process that the owner of that system runs."""
    folder = f"proc/{pid}"
    write(root, f"{folder}/comm", f"{name[:15]}\n")
    write(root, f"{folder}/cmdline", "".join(f"{word}\0" for word in (name, *arguments)))
    write(root, f"{folder}/environ", "".join(f"{key}={text}\0" for key, text in environ.items()))
    return root / folder


def listener(root: Path, file: str) -> Path:
    """A socket there; its path may be longer than sockets' can be."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(before)
    return path


def checkpoint(root: Path, registered: object, entries: Iterable[object] = ()) -> Path:
    """What a kubelet remembers of its devices."""
    data = {"PodDeviceEntries": [*entries], "RegisteredDevices": registered}
    text = json.dumps({"Data": data, "Checksum": 2467912746})
    return write(root, f"{PLUGINS}/kubelet_internal_checkpoint", text)


def service(root: Path, *, enabled: bool = True) -> Path:
    """The mig-manager's unit, as its package and systemctl have it."""
    unit = write(root, f"lib/systemd/system/{mig_manager.UNIT}", "[Service]\nType=oneshot\n")
    link = root / "etc/systemd/system/multi-user.target.wants" / mig_manager.UNIT
    link.parent.mkdir(parents=True)
    if enabled:
        link.symlink_to(f"/lib/systemd/system/{mig_manager.UNIT}")
    return unit if not enabled else link
