"""NVML's device handles, kept."""

from __future__ import annotations

from jupyter_mig import errors
from jupyter_mig.nvml import raw
from jupyter_mig.nvml.facts import Device


class Handle:
    """The handle that belongs to one UUID.

    Looking a handle up can take seconds when several processes do, so it is kept; it goes stale
    when a MIG device is destroyed or a GPU reset, so it is asked for its UUID before each use.
    """

    def __init__(self, uuid: str) -> None:
        self.uuid = uuid
        self._kept: Device | None = None

    def get(self) -> Device:
        """A handle that is good now. Raises NotFound if nothing has the UUID."""
        if self._kept is None or not self._answers(self._kept):
            self._kept = raw.device_by_uuid(self.uuid)
        return self._kept

    def _answers(self, device: Device) -> bool:
        try:
            return raw.device_uuid(device) == self.uuid
        except (errors.NotFound, errors.InvalidArgument):
            return False
