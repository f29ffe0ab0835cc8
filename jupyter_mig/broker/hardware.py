"""The ledger's actions on the hardware, carried out. Each call comes back as exactly one event.

Everything here blocks and runs in the lane of its GPU.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.claims import Claims
from jupyter_mig.broker.failures import HOPELESS, text_of
from jupyter_mig.broker.seam import Seam
from jupyter_mig.core import actions, events
from jupyter_mig.core.actions import Action
from jupyter_mig.core.events import AnyEvent
from jupyter_mig.core.geometry import Identity
from jupyter_mig.nvml.port import HardwarePort

log = logging.getLogger(__name__)


class Hardware:
    """What a broker does to its GPUs, through a driver.

    ``creates`` is whether instances may be made and destroyed (the inventory is dynamic).
    ``offers_unknown`` is False when the log that knew the instances was lost: then those we do
    not know are not handed out.
    """

    def __init__(
        self, driver: HardwarePort, seam: Seam, *, creates: bool, offers_unknown: bool = True
    ) -> None:
        self.driver = driver
        self._seam = seam
        self._creates = creates
        self._offers_unknown = offers_unknown
        self._claims = Claims()

    def carry_out(self, action: Action) -> AnyEvent | None:
        """Do it; the event that answers it, if one does."""
        name = type(action).__name__
        self._seam.reached(f"before {name}")
        event = _METHODS[type(action)](self, action)
        self._seam.reached(f"after {name}")
        return event

    def close(self) -> None:
        """Drop all locks."""
        self._claims.close()

    def observe(self, action: actions.ObserveGpu) -> AnyEvent:
        """Look at one GPU in full."""
        try:
            gpu = next(gpu for gpu in self.driver.gpus() if gpu.uuid == action.gpu_uuid)
            instances = self.driver.instances(action.gpu_uuid)
        except StopIteration:
            return events.GpuFailed(action.gpu_uuid, "gpu-lost: The GPU is not listed any more")
        except Exception as error:  # noqa: BLE001 - every call is answered by one event
            return events.GpuFailed(action.gpu_uuid, text_of(error))
        return events.GpuObserved(gpu, self._creates, instances, self._offers_unknown)

    def create(self, action: actions.CreateInstance) -> AnyEvent:
        """Make an instance."""
        try:
            identity = self.driver.create(action.spec)
        except Exception as error:  # noqa: BLE001 - every call is answered by one event
            hopeless = isinstance(error, HOPELESS)
            return events.CreateFailed(action.instance_id, text_of(error), hopeless)
        return events.InstanceCreated(action.instance_id, identity)

    def destroy(self, action: actions.DestroyInstance) -> AnyEvent:
        """Destroy an instance. If it is in use, say by whom as far as that can be known."""
        self._claims.drop(action.instance_id)
        try:
            self.driver.destroy(action.gpu_uuid, action.identity)
        except Exception as error:  # noqa: BLE001 - every call is answered by one event
            suspects: tuple[int, ...] = ()
            with suppress(errors.DriverError):  # the destroy's error is the one that counts
                suspects = self._occupants(action.gpu_uuid, action.identity)
            return events.DestroyFailed(action.instance_id, text_of(error), suspects)
        return events.InstanceDestroyed(action.instance_id)

    def claim(self, action: actions.ClaimInstance) -> AnyEvent:
        """Lock an existing instance, then make sure that nobody is on it."""
        try:
            self._claims.take(action.instance_id, self._access(action))
            occupants = self._occupants(action.gpu_uuid, action.identity)
        except Exception as error:  # noqa: BLE001 - every call is answered by one event
            self._claims.drop(action.instance_id)
            return events.ClaimFailed(action.instance_id, text_of(error))
        if occupants:
            self._claims.drop(action.instance_id)
            pids = ", ".join(map(str, occupants))
            return events.ClaimFailed(action.instance_id, f"in-use: Processes run on it: {pids}")
        return events.InstanceClaimed(action.instance_id)

    def lock(self, action: actions.LockInstance) -> None:
        """Lock an instance again that a lease has held since before this broker."""
        try:
            self._claims.take(action.instance_id, self._access(action))
        except errors.DriverError as error:
            # The lease stays: its holder lives, and the lock only tells other users' brokers.
            log.warning("instance=%s is held without a lock: %s", action.instance_id, error)

    def give_back(self, action: actions.ReturnInstance) -> None:
        """Drop the lock on an instance that stays."""
        self._claims.drop(action.instance_id)

    def occupants(self, action: actions.ObserveOccupants) -> AnyEvent:
        """Who is on an instance: those NVML lists, and those that hold its nodes open."""
        try:
            pids = self._occupants(action.gpu_uuid, action.identity)
        except Exception as error:  # noqa: BLE001 - every call is answered by one event
            return events.OccupantsUnknown(action.instance_id, text_of(error))
        return events.OccupantsObserved(action.instance_id, pids)

    def signal_occupants(self, action: actions.SignalOccupants) -> None:
        """Ask the owner's processes to leave, if they came after the slice was granted."""
        for pid in action.pids:
            with suppress(ProcessLookupError):  # gone by itself
                _signal(pid, action)

    def _occupants(self, gpu_uuid: str, identity: Identity) -> tuple[int, ...]:
        listed = self.driver.occupants(gpu_uuid, identity)
        opened = processes.openers(self.driver.access_paths(gpu_uuid, identity))
        return tuple(sorted({*listed, *opened}))

    def _access(self, action: actions.ClaimInstance | actions.LockInstance) -> tuple[Path, ...]:
        return self.driver.access_paths(action.gpu_uuid, action.identity)


_METHODS: Mapping[type[Action], Callable[[Hardware, Any], AnyEvent | None]] = MappingProxyType(
    {
        actions.ObserveGpu: Hardware.observe,
        actions.CreateInstance: Hardware.create,
        actions.DestroyInstance: Hardware.destroy,
        actions.ClaimInstance: Hardware.claim,
        actions.LockInstance: Hardware.lock,
        actions.ReturnInstance: Hardware.give_back,
        actions.ObserveOccupants: Hardware.occupants,
        actions.SignalOccupants: Hardware.signal_occupants,
    }
)


def gpu_of(action: Action, gpu_by_instance: Callable[[str], str]) -> str | None:
    """The GPU in whose lane an action runs; None for actions that touch no hardware."""
    if isinstance(action, actions.CreateInstance):
        return action.spec.gpu_uuid
    if isinstance(action, actions.SignalOccupants):
        return gpu_by_instance(action.instance_id)
    return getattr(action, "gpu_uuid", None)


def _signal(pid: int, action: actions.SignalOccupants) -> None:
    """Send the signal through a pidfd, so that it cannot hit a process that came to the pid."""
    pidfd = os.pidfd_open(pid)
    try:
        process = processes.find(pid)
        if (
            process is not None
            and process.uid == action.owner
            and process.started_seconds >= action.started_after
        ):
            signal.pidfd_send_signal(pidfd, getattr(signal, f"SIG{action.signal.value}"))
    finally:
        os.close(pidfd)
