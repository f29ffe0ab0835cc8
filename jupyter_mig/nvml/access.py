"""The device nodes through which CUDA programs reach a MIG instance or a whole GPU (MIG user guide,
"Device Nodes and Capabilities").
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from jupyter_mig.core.geometry import Identity


class AccessNodes(msgspec.Struct, frozen=True):
    """Where the driver describes its capabilities (``proc``), has their nodes (``dev``), and those
    of the GPUs (``gpus``).
    """

    proc: Path = Path("/proc/driver/nvidia/capabilities")
    dev: Path = Path("/dev/nvidia-caps")
    gpus: Path = Path("/dev")

    @classmethod
    def under(cls, root: Path) -> AccessNodes:
        """As the system has them, but under another root than ``/``."""
        places = (SYSTEM.proc, SYSTEM.dev, SYSTEM.gpus)
        return cls(*(root / path.relative_to("/") for path in places))

    def of(self, gpu_minor: int, identity: Identity) -> tuple[Path, ...]:
        """The instance's own nodes, as far as they exist."""
        return tuple(node for node in self.own(gpu_minor, identity) if node.exists())

    def own(self, gpu_minor: int, identity: Identity) -> tuple[Path, ...]:
        """The nodes that belong to this instance alone, also those that are missing: of the GPU
        instance and its compute instance, or of the GPU. None where nodes are simulated away.
        """
        if self == NOWHERE:
            return ()
        if identity.is_gpu:
            return (self._gpu(gpu_minor),)
        return tuple(node for node, _ in self.pairs(gpu_minor, identity))

    def closed(self, gpu_minor: int, identity: Identity) -> tuple[Path, ...]:
        """The nodes a CUDA program needs for the instance that this process cannot open.

        Only opening tells: a cgroup's device filter shows in no mode bits.
        """
        if self == NOWHERE:
            return ()
        gpu = self._gpu(gpu_minor)
        needed = dict.fromkeys((gpu, *self.own(gpu_minor, identity)))
        return tuple(
            node for node in needed if not _opens(node, os.O_RDWR if node == gpu else os.O_RDONLY)
        )

    def _gpu(self, minor: int) -> Path:
        return self.gpus / f"nvidia{minor}"

    def pairs(self, gpu_minor: int, identity: Identity) -> tuple[tuple[Path, Path], ...]:
        """Each node that the instance should have, with the capability file that describes it. The
        nodes of all GPUs are described by one file, the driver's parameters.
        """
        if identity.is_gpu:
            return ((self._gpu(gpu_minor), self.proc.parent / "params"),)
        gi_number = 3 + 135 * gpu_minor + 9 * identity.gi_id
        gi_folder = self.proc / f"gpu{gpu_minor}" / "mig" / f"gi{identity.gi_id}"
        found = [self._pair(gi_folder / "access", gi_number)]
        if identity.ci_id is not None:
            ci_file = gi_folder / f"ci{identity.ci_id}" / "access"
            found.append(self._pair(ci_file, gi_number + 1 + identity.ci_id))
        return tuple(found)

    def _pair(self, capability: Path, fixed: int) -> tuple[Path, Path]:
        return self.dev / f"nvidia-cap{_number(capability, fixed)}", capability


SYSTEM = AccessNodes()
"""Where the driver itself has them."""

NOWHERE = AccessNodes(*(Path("/dev/null") / name for name in ("capabilities", "caps", "gpus")))
"""For nodes that are simulated: nothing can exist below a device file."""


def _opens(node: Path, how: int) -> bool:
    try:
        os.close(os.open(node, how | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _number(capability: Path, fixed: int) -> int:
    """The device minor number that a capability file names.

    Containers often have the nodes without the files; the numbers are ``fixed`` by the driver
    (``/proc/driver/nvidia-caps/mig-minors``).
    """
    try:
        text = capability.read_text(encoding="ascii")
    except OSError:
        return fixed
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "DeviceFileMinor":
            return int(value)
    return fixed
