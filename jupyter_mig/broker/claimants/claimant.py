"""Somebody else who manages GPUs of this node, as far as files tell."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from jupyter_mig.core.geometry import Gpu


class Claimant(msgspec.Struct, frozen=True):
    """``name`` is who, ``source`` the file (or process) that says so, and ``remedy`` what to do
    for GPUs that shall be ours.

    The GPUs are known by UUID, by minor number or by the UUIDs of their MIG devices (``slices``);
    ``everything``: which is not known. ``hidden``: nor whether any, as only root may look.
    ``at_boot``: GPUs are cut once, before anybody uses them, and nobody is given any.
    """

    name: str
    source: str
    remedy: str
    uuids: frozenset[str] = frozenset()
    minors: frozenset[int] = frozenset()
    slices: frozenset[str] = frozenset()
    everything: bool = False
    hidden: bool = False
    at_boot: bool = False

    def __str__(self) -> str:
        if self.hidden:
            return f"Whether {self.name} manages GPUs here only root can see: {self.source}."
        which = "GPUs" if self.everything else "some GPUs"
        return f"{self.name} manages {which} here: {self.source}."

    def has(self, gpu: Gpu, slices: Iterable[str] = ()) -> bool:
        """Whether that GPU, with these MIG devices on it, is one of its."""
        return (
            self.everything
            or gpu.uuid in self.uuids
            or gpu.minor in self.minors
            or not self.slices.isdisjoint(slices)
        )
