"""The hardware port: all that the broker asks of a driver.

One implementation, :class:`jupyter_mig.nvml.driver.Driver`, over pynvml; the simulator sits
*under* it, as another NVML library. Calls block for up to seconds and must not be made on an
event loop; each may raise any :class:`jupyter_mig.errors.DriverError`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from jupyter_mig.core.geometry import Gpu, Identity, Instance, Spec


class HardwarePort(Protocol):
    """Discovery, creation, destruction and readings of MIG instances."""

    name: str
    """The driver string: ``nvml`` or ``simulated:…``."""

    simulated: bool
    """Whether there is no hardware behind it."""

    def gpus(self) -> tuple[Gpu, ...]:
        """All GPUs visible, with profiles and placements where MIG is on."""

    def instances(self, gpu_uuid: str) -> tuple[Instance, ...]:
        """All instances on one GPU: a full observation or an error, never a part."""

    def create(self, spec: Spec) -> Identity:
        """Make a GPU instance at ``spec.start`` with one whole-size compute instance.

        If the compute instance cannot be made the GPU instance is destroyed again before raising.
        """

    def destroy(self, gpu_uuid: str, identity: Identity) -> None:
        """Destroy the compute instances and the GPU instance, retrying briefly on In Use.

        A GPU instance that is already gone is a success.
        """

    def occupants(self, gpu_uuid: str, identity: Identity) -> tuple[int, ...]:
        """The pids NVML lists on the instance."""

    def memory(self, identity: Identity) -> tuple[int, int]:
        """Bytes used and bytes in all of the instance."""

    def keep_counters(self, gpu_uuid: str, identity: Identity) -> int:
        """Keep the instance's performance counters (GPM) as they are now; the number under which.

        Raises NotSupported before Hopper.
        """

    def percent_between(self, gpu_uuid: str, earlier: int, later: int) -> dict[str, float]:
        """How busy the instance was between two kept counters, at least 0.1 s apart: per cent by
        ``sm``, ``graphics``, ``tensor`` and ``dram``, those the GPU has.

        Raises NotFound if the instance was made anew in between.
        """

    def forget_counters(self, gpu_uuid: str, number: int) -> None:
        """Keep those counters no longer."""

    def busy_percent(self, gpu_uuid: str) -> float:
        """Of the driver's last period, up to a second, the part in which something ran on the GPU.

        Raises NotSupported in MIG mode.
        """

    def power_watts(self, gpu_uuid: str) -> float:
        """What the GPU's board draws."""

    def temperature_celsius(self, gpu_uuid: str) -> float:
        """The temperature of the GPU."""

    def near_cpus(self, gpu_uuid: str) -> frozenset[int]:
        """The CPUs of the GPU's NUMA node, as the kernel counts them, whoever may use them.

        Raises NotSupported where NVML cannot tell.
        """

    def access_paths(self, gpu_uuid: str, identity: Identity) -> tuple[Path, ...]:
        """The device nodes a CUDA program opens to use the instance; empty where there are none."""

    def lock_paths(self, gpu_uuid: str, identity: Identity) -> tuple[Path, ...]:
        """The device nodes that only this instance has, also those that are missing: whoever hands
        it out locks them. Empty only where there are no nodes because they are simulated away.
        """

    def described_nodes(self, gpu_uuid: str, identity: Identity) -> tuple[tuple[Path, Path], ...]:
        """The instance's own nodes, each with the capability file that describes it, the GPU
        instance's first; of a whole GPU, its node and the file of the driver's parameters. None
        where nodes are simulated away.
        """

    def closed_paths(self, gpu_uuid: str, identity: Identity) -> tuple[Path, ...]:
        """The device nodes needed for the instance that this process cannot open."""

    def close(self) -> None:
        """Let go of NVML."""


@runtime_checkable
class Warden(Protocol):
    """Hardware whose device nodes can be given to one user at a time."""

    isolates: bool
    """Whether that is wanted."""

    filters: bool
    """Whether, of that user's processes, only those in cgroups that were admitted may open them."""

    def protect(self, gpu_uuid: str, identity: Identity, uid: int) -> None:
        """Let that user open the instance's nodes, and nobody else. Raises InUse if somebody has
        one open already; then nobody can.
        """

    def unprotect(self, gpu_uuid: str, identity: Identity) -> None:
        """Let nobody open them any more; an instance that is gone is fine."""

    def secure(self, gpu_uuid: str) -> None:
        """Have the node of a GPU that is handed out whole be its user's, or nobody's, whatever
        became of it. Raises NoPermission if it would not stay so, InUse if somebody who should not
        has it open while it is nobody's.
        """

    def admit(self, gpu_uuid: str, identity: Identity, pid: int, started_ticks: int) -> None:
        """Let the cgroup of that process, which is of the instance's user, open its nodes. Raises
        NoPermission if it is in none of its own.
        """

    def computing(self, gpu_uuid: str, identity: Identity) -> tuple[int, ...]:
        """The pids NVML lists on the instance, whoever else has its nodes open."""

    def end(
        self, gpu_uuid: str, identity: Identity, pid: int, started_ticks: int, *, gently: bool
    ) -> None:
        """End the process on the instance that has that pid and start time. Raises NoPermission if
        it does not compute there and is not of the instance's user.
        """


@runtime_checkable
class Registrar(Protocol):
    """Hardware that destroys no instance which it has not made itself, unless told."""

    def own(self, gpu_uuid: str, identity: Identity) -> None:
        """Treat the instance as one of its own. Raises NotFound if it is not there."""


@runtime_checkable
class Removable(Protocol):
    """Hardware whose driver can be let go of, to be replaced, and taken up again."""

    def let_go(self) -> None:
        """Close it, after the calls under way. Until it is taken up other calls raise NoDriver."""

    def take_up(self) -> None:
        """Open it again, if it was let go. Raises NoDriver if it cannot be opened."""


@runtime_checkable
class Switch(Protocol):
    """Hardware whose MIG mode can be turned on."""

    def turn_mig_on(self, gpu_uuid: str) -> bool:
        """Have it on; whether it was off. Raises DriverError, and does nothing, on a GPU that is in
        use or would have to be reset.
        """


@runtime_checkable
class Mirror(Protocol):
    """Hardware that is simulated, so that no kernel can use it: it shows what processes do."""

    def mirror(self, identity: Identity, pid: int) -> None:
        """From now on show the resident memory of that process and its children as used on the
        instance. Nothing happens if the instance is gone; it ends with either.
        """
