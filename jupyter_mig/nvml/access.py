"""The device nodes through which CUDA programs reach a MIG instance (MIG user guide, "Device
Nodes and Capabilities").
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from jupyter_mig.core.geometry import Identity


class AccessNodes(msgspec.Struct, frozen=True):
    """Where the driver describes its capabilities (``proc``) and has their nodes (``dev``)."""

    proc: Path = Path("/proc/driver/nvidia/capabilities")
    dev: Path = Path("/dev/nvidia-caps")

    @classmethod
    def under(cls, root: Path) -> AccessNodes:
        """As the system has them, but under another root than ``/``."""
        return cls(*(root / path.relative_to("/") for path in (SYSTEM.proc, SYSTEM.dev)))

    def of(self, gpu_minor: int, identity: Identity) -> tuple[Path, ...]:
        """The nodes of the GPU instance and its compute instance, as far as they exist."""
        return tuple(node for node, _ in self.pairs(gpu_minor, identity) if node.exists())

    def pairs(self, gpu_minor: int, identity: Identity) -> tuple[tuple[Path, Path], ...]:
        """Each node that the instance should have, with the capability file that describes it."""
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

NOWHERE = AccessNodes(Path("/dev/null/capabilities"), Path("/dev/null/nvidia-caps"))
"""For nodes that are simulated: nothing can exist below a device file."""


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
