"""The performance counters kept of one GPU, from one look to the next."""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

from jupyter_mig import errors
from jupyter_mig.nvml import gpm
from jupyter_mig.nvml.facts import Device


class Kept(NamedTuple):
    """A sample, and the MIG device that was there then (None: the whole GPU)."""

    sample: gpm.Sample
    mig_device: Device | None


class Counters:
    """Samples by number. The board's lock keeps its users apart."""

    def __init__(self) -> None:
        self._kept: dict[int, Kept] = {}
        self._numbers = count(1)
        self._supported: bool | None = None

    def keep(self, gpu: Device, gi_id: int | None = None, mig_device: Device | None = None) -> int:
        """Take a sample of a GPU instance, or of the whole GPU. Raises NotSupported."""
        self._require_support(gpu)
        number = next(self._numbers)
        self._kept[number] = Kept(gpm.sample(gpu, gi_id), mig_device)
        return number

    def percent_between(self, earlier: int, later: int) -> dict[str, float]:
        """How busy the instance was. Raises NotFound if it is not the same one any more.

        Ids and UUIDs are used again, so both say nothing; but handles do not outlive what they
        stand for, so a device that had to be looked up again is another one.
        """
        first, second = self._kept[earlier], self._kept[later]
        if first.mig_device is not second.mig_device:
            raise errors.NotFound(
                "The instance was made anew since the last look",
                next_step="Look again.",
                code=6,
                call="nvmlGpmMetricsGet",
            )
        return gpm.percent_between(first.sample, second.sample)

    def forget(self, number: int) -> None:
        """Free a sample. Harmless when that has happened already."""
        kept = self._kept.pop(number, None)
        if kept is not None:
            gpm.free(kept.sample)

    def forget_all(self) -> None:
        """Free all samples."""
        for number in tuple(self._kept):
            self.forget(number)

    def _require_support(self, gpu: Device) -> None:
        if self._supported is None:
            self._supported = gpm.supported(gpu)
        if not self._supported:
            raise errors.NotSupported(
                "The GPU has no performance counters that NVML could read",
                situation="Data centre boards have them since Hopper (H100).",
                code=3,
                call="nvmlGpmQueryDeviceSupport",
            )
