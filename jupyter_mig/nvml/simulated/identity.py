"""Names that follow from what and where a thing is: UUIDs, bus ids, minor numbers.

Deterministic, as on silicon: the same slot has the same MIG UUID after destroy and create, after
a reboot, and for the next tenant.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID, uuid5

from .silicon import Place

_SIMULATED_CHIPS = UUID("b3f0f2a6-5c1e-4d53-9b55-6a0f0c5d7e11")
_NVIDIA_VENDOR = 0x10DE
_BUSES = (0x07, 0x0F, 0x47, 0x4E, 0x87, 0x90, 0xB7, 0xBD)


class PciAddress(NamedTuple):
    """Where a GPU sits; one function per GPU."""

    domain: int
    bus: int
    device: int = 0

    def __str__(self) -> str:
        return f"{self.domain:08X}:{self.bus:02X}:{self.device:02X}.0"


def gpu_uuid(models: tuple[str, ...], index: int) -> str:
    """The UUID of a GPU of this node."""
    return f"GPU-{_chip(models, index)}"


def mig_uuid(models: tuple[str, ...], place: Place) -> str:
    """The UUID of a MIG device: a hash of the chip, the GPU instance id and the first engine.

    What is not in it, as on silicon: the profile, and when the instance was made.
    """
    engine = f"{place.instance.id}/{place.compute.start}"
    return f"MIG-{uuid5(_chip(models, place.gpu), engine)}"


def old_mig_name(models: tuple[str, ...], place: Place) -> str:
    """The name drivers before R470 gave a MIG device; still accepted."""
    return f"MIG-{gpu_uuid(models, place.gpu)}/{place.instance.id}/{place.compute.id}"


def pci_address(index: int) -> PciAddress:
    """The bus address of a GPU: eight to a domain, on the buses of an eight-GPU board."""
    domain, slot = divmod(index, len(_BUSES))
    return PciAddress(domain, _BUSES[slot])


def pci_device_id(device: int) -> int:
    """NVML's combined form of device and vendor id."""
    return device << 16 | _NVIDIA_VENDOR


def minor_number(count: int, index: int) -> int:
    """The N of /dev/nvidiaN: neighbours are swapped, as minors need not follow NVML's order."""
    neighbour = index ^ 1
    return neighbour if neighbour < count else index


def _chip(models: tuple[str, ...], index: int) -> UUID:
    return uuid5(_SIMULATED_CHIPS, f"{','.join(models)}/{index}")
