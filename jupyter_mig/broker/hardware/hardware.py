"""The ledger's actions on the hardware, carried out. Each call comes back as exactly one event.

Everything here blocks and runs in the lane of its GPU.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.hardware import stock
from jupyter_mig.broker.hardware.claims import Claims
from jupyter_mig.broker.hardware.inventory import Inventories
from jupyter_mig.broker.hardware.stock import Stock
from jupyter_mig.broker.holders.holders import holder_of
from jupyter_mig.broker.memory.failures import HOPELESS, text_of
from jupyter_mig.broker.processes import Process
from jupyter_mig.broker.seam import Seam
from jupyter_mig.core import actions, events
from jupyter_mig.core.actions import Action
from jupyter_mig.core.events import AnyEvent
from jupyter_mig.core.geometry import Gpu, Identity, Instance
from jupyter_mig.nvml.port import HardwarePort, Warden

log = logging.getLogger(__name__)

_ROOT = 0


class Hardware:
    """What a broker does to its GPUs, through a driver.

    ``offers_unknown`` is False when the log that knew the instances was lost: then those we do
    not know are not handed out. ``stocks`` is what each GPU had to offer when last seen.
    """

    def __init__(
        self,
        driver: HardwarePort,
        seam: Seam,
        inventories: Inventories,
        *,
        offers_unknown: bool = True,
    ) -> None:
        self.driver = driver
        self.stocks: dict[str, Stock] = {}
        self._seam = seam
        self._inventories = inventories
        self._offers_unknown = offers_unknown
        self._claims = Claims()

    @property
    def locked(self) -> Mapping[str, tuple[str, ...]]:
        """The device nodes that are locked now, by instance."""
        return self._claims.nodes

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
            gpu = self._gpu(action.gpu_uuid)
            found = stock.take(self.driver, gpu, self._inventories)
            instances = found.instances if found.creates else self._with_lockers(found.instances)
        except Exception as error:  # noqa: BLE001 - every call is answered by one event
            return events.GpuFailed(action.gpu_uuid, text_of(error))
        self._renew_locks(found)
        self._tell_news(gpu, found)
        return events.GpuObserved(
            gpu, found.creates, instances, self._offers_unknown, found.problem, found.withheld
        )

    def _gpu(self, gpu_uuid: str) -> Gpu:
        for gpu in self.driver.gpus():
            if gpu.uuid == gpu_uuid:
                return gpu
        self.driver.instances(gpu_uuid)  # raises what is the matter with it, if it says so
        raise errors.GpuLost(
            "The GPU is not listed any more", next_step="See nvidia-smi -L and the kernel log."
        )

    def _renew_locks(self, found: Stock) -> None:
        """Nodes are replaced when an instance is made anew under a lease; that ends none."""
        for one in found.instances:
            try:
                self._claims.renew(self.driver.lock_paths(one.spec.gpu_uuid, one.identity))
            except errors.DriverError as error:  # noqa: PERF203 - one of many
                log.warning("mig_uuid=%s: the lock was lost: %s", one.identity.mig_uuid, error)

    def _with_lockers(self, instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
        """Other brokers' locks count as processes on the instance: it is not free."""
        nodes = [self.driver.lock_paths(one.spec.gpu_uuid, one.identity) for one in instances]
        return tuple(
            msgspec.structs.replace(
                one, occupants=tuple(sorted({*(one.occupants or ()), *lockers}))
            )
            for one, lockers in zip(instances, processes.lockers_of(nodes), strict=True)
        )

    def _tell_news(self, gpu: Gpu, found: Stock) -> None:
        """Log how a GPU is used and what a person should know about it, when that changes."""
        before = self.stocks.get(gpu.uuid)
        self.stocks[gpu.uuid] = found
        if before is None or before.choice != found.choice:
            way, why = found.choice
            log.info("gpu=%d inventory=%s: %s", gpu.index, way.value, why)
        if found.problem and (before is None or before.problem != found.problem):
            log.warning("gpu=%d %s", gpu.index, " ".join(found.problem.splitlines()))
        for note in found.notes if before is None else set(found.notes) - set(before.notes):
            log.warning("gpu=%d %s", gpu.index, note)

    def create(self, action: actions.CreateInstance) -> AnyEvent:
        """Make an instance, and lock it against brokers that hand out what they find."""
        try:
            identity = self.driver.create(action.spec)
            self._secure(action, identity)
        except Exception as error:  # noqa: BLE001 - every call is answered by one event
            hopeless = isinstance(error, HOPELESS)
            left_there = isinstance(error, errors.DriverError) and error.left_there
            return events.CreateFailed(action.instance_id, text_of(error), hopeless, left_there)
        return events.InstanceCreated(action.instance_id, identity)

    def _secure(self, action: actions.CreateInstance, identity: Identity) -> None:
        """Lock what was just made, and close it to other users. If another broker was faster, or
        it cannot be closed, it goes again.

        Nodes that are still missing cannot be locked by anybody.
        """
        gpu_uuid = action.spec.gpu_uuid
        try:
            self._claims.occupy(action.instance_id, self.driver.access_paths(gpu_uuid, identity))
            self._give_nodes(gpu_uuid, identity, action.owner)
        except errors.DriverError as error:
            self._claims.drop(action.instance_id)
            try:
                self.driver.destroy(gpu_uuid, identity)
            except errors.DriverError:
                error.left_there = True
            raise

    def _give_nodes(self, gpu_uuid: str, identity: Identity, owner: int) -> None:
        if isinstance(self.driver, Warden) and self.driver.isolates:
            self.driver.protect(gpu_uuid, identity, owner)

    def _close_nodes(self, gpu_uuid: str, identity: Identity) -> None:
        """Before the next tenant: a node stays, with its owner, when its instance is destroyed."""
        if isinstance(self.driver, Warden) and self.driver.isolates:
            self.driver.unprotect(gpu_uuid, identity)

    def destroy(self, action: actions.DestroyInstance) -> AnyEvent:
        """Destroy an instance. If it is in use, say by whom as far as that can be known.

        It stays locked until it is gone, so that nobody is given it meanwhile; but our own hold
        on its nodes must not be what keeps it from going at the next attempt.
        """
        try:
            self._close_nodes(action.gpu_uuid, action.identity)
            self.driver.destroy(action.gpu_uuid, action.identity)
        except Exception as error:  # noqa: BLE001 - every call is answered by one event
            self._claims.drop(action.instance_id)
            suspects: tuple[int, ...] = ()
            with suppress(errors.DriverError):  # the destroy's error is the one that counts
                suspects = self._occupants(action.gpu_uuid, action.identity)
            return events.DestroyFailed(action.instance_id, text_of(error), suspects)
        self._claims.drop(action.instance_id)
        return events.InstanceDestroyed(action.instance_id)

    def claim(self, action: actions.ClaimInstance) -> AnyEvent:
        """Lock an existing instance, close it to others, then make sure that nobody is on it."""
        try:
            self._claims.take(action.instance_id, self._nodes(action))
            self._give_nodes(action.gpu_uuid, action.identity, action.owner)
            occupants = self._occupants(action.gpu_uuid, action.identity)
        except Exception as error:  # noqa: BLE001 - every call is answered by one event
            self._leave(action)
            return events.ClaimFailed(action.instance_id, text_of(error))
        if occupants:
            self._leave(action)
            pids = ", ".join(map(str, occupants))
            return events.ClaimFailed(action.instance_id, f"in-use: Processes run on it: {pids}")
        return events.InstanceClaimed(action.instance_id)

    def lock(self, action: actions.LockInstance) -> None:
        """Lock an instance again that a lease has held since before this broker."""
        try:
            self._claims.join(action.instance_id, self._nodes(action))
        except errors.DriverError as error:
            # The lease stays: its holder lives, and the lock only tells other users' brokers.
            log.warning("instance=%s is held without a lock: %s", action.instance_id, error)

    def give_back(self, action: actions.ReturnInstance) -> None:
        """Close an instance that stays, and drop the lock on it."""
        self._leave(action)

    def _leave(self, action: actions.ClaimInstance | actions.ReturnInstance) -> None:
        try:
            self._close_nodes(action.gpu_uuid, action.identity)
        except errors.DriverError as error:
            # Nobody else gets in either: the next tenant is let in only after it has been closed.
            log.warning("instance=%s is still its last user's: %s", action.instance_id, error)
        self._claims.drop(action.instance_id)

    def occupants(self, action: actions.ObserveOccupants) -> AnyEvent:
        """Who is on an instance: those NVML lists, and those that hold its nodes open."""
        try:
            pids = self._occupants(action.gpu_uuid, action.identity)
        except Exception as error:  # noqa: BLE001 - every call is answered by one event
            return events.OccupantsUnknown(action.instance_id, text_of(error))
        return events.OccupantsObserved(action.instance_id, pids)

    def signal_occupants(self, action: actions.SignalOccupants) -> None:
        """Ask the owner's processes to leave, if they came after the slice was granted; where
        slices open for their owners alone, all of his, and whoever computes on his.
        """
        computing = self._computing(action)
        for process in filter(None, map(processes.find, action.pids)):
            ours = computing is not None and _is_ended_with(process, action, computing)
            if ours or _may_be_signalled(process, action):
                self._signal(process, action)

    def _computing(self, action: actions.SignalOccupants) -> tuple[int, ...] | None:
        """None where slices open for everybody: whoever computes there may have been let in."""
        if not isinstance(self.driver, Warden) or not self.driver.isolates:
            return None
        try:
            return self.driver.computing(action.gpu_uuid, action.identity)
        except errors.DriverError as error:
            log.warning("instance=%s cannot be looked at: %s", action.instance_id, error)
            return ()

    def _signal(self, process: Process, action: actions.SignalOccupants) -> None:
        if not isinstance(self.driver, Warden):
            processes.end(process, gently=action.signal is actions.Signal.TERM)
            return
        try:
            self.driver.end(
                action.gpu_uuid,
                action.identity,
                process.pid,
                process.started_ticks,
                gently=action.signal is actions.Signal.TERM,
            )
        except errors.DriverError as error:
            # The next observation tells whether it is still there; then it is tried again.
            log.warning("pid=%d was not signalled: %s", process.pid, error)

    def _occupants(self, gpu_uuid: str, identity: Identity) -> tuple[int, ...]:
        listed = self.driver.occupants(gpu_uuid, identity)
        if identity.is_gpu:  # whoever asks NVML anything has a GPU's node open
            return listed
        opened = processes.openers(self.driver.access_paths(gpu_uuid, identity))
        return tuple(sorted({*listed, *opened}))

    def _nodes(self, action: actions.ClaimInstance | actions.LockInstance) -> tuple[Path, ...]:
        return self.driver.lock_paths(action.gpu_uuid, action.identity)


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


def _is_ended_with(
    process: Process, action: actions.SignalOccupants, computing: tuple[int, ...]
) -> bool:
    """Whether a process goes with a lease: however old it is it can have come by the owner alone.
    Another user's that just has the node open may have been sent it without a say in it; whoever
    asks NVML anything has a whole GPU open.
    """
    owners = process.uid == action.owner and not action.identity.is_gpu
    return process.uid != _ROOT and (owners or process.pid in computing)


def _may_be_signalled(process: Process, action: actions.SignalOccupants) -> bool:
    newcomer = process.started_seconds >= action.started_after
    return process.uid == action.owner and (newcomer or holder_of(process) == action.kernel)
