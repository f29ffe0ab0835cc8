"""The hardware port of a broker without privileges: what needs root goes to the helper."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from jupyter_mig import errors
from jupyter_mig.broker.helper import verbs
from jupyter_mig.broker.helper.hands import Hands
from jupyter_mig.core.geometry import Gpu, Identity, Instance, Spec
from jupyter_mig.nvml.port import HardwarePort, Mirror, Removable


class HelpedDriver:
    """Reads for itself, through ``own``, and has the helper cut GPUs.

    Only the helper's GPUs exist for it.
    """

    def __init__(
        self, own: HardwarePort, hands: Hands, *, isolates: bool = True, filters: bool = False
    ) -> None:
        """``isolates``: whether device nodes are given to the users of leases; ``filters``: whether
        to single cgroups of theirs, too.
        """
        self.isolates = isolates
        self.filters = filters
        self.name = own.name
        self.simulated = own.simulated
        self._own = own
        self._hands = hands
        self._places: dict[str, int] = {}

    def gpus(self) -> tuple[Gpu, ...]:
        """The helper's GPUs."""
        gpus = self._hands.ask(verbs.Describe(), verbs.Described).gpus
        self._places = {gpu.uuid: place for place, gpu in enumerate(gpus)}
        return gpus

    def instances(self, gpu_uuid: str) -> tuple[Instance, ...]:
        """All instances on one GPU, with their places."""
        return self._hands.ask(verbs.Observe(self._place(gpu_uuid)), verbs.Observed).instances

    def create(self, spec: Spec) -> Identity:
        """Make an instance."""
        if spec.start is None:
            raise errors.InvalidArgument("An instance cannot be made at no place", code=2)
        verb = verbs.Create(self._place(spec.gpu_uuid), spec.profile_id, spec.start)
        return self._hands.ask(verb, verbs.Created).identity

    def destroy(self, gpu_uuid: str, identity: Identity) -> None:
        """Destroy an instance; gone already is fine."""
        self._hands.ask(verbs.Destroy(self._place(gpu_uuid), identity.gi_id), verbs.Done)

    def own(self, gpu_uuid: str, identity: Identity) -> None:
        """Have the helper take the instance for one that it has made."""
        self._hands.ask(verbs.Own(self._place(gpu_uuid), identity.gi_id), verbs.Done)

    def protect(self, gpu_uuid: str, identity: Identity, uid: int) -> None:
        """Let one user open the instance's device nodes, and nobody else."""
        self._hands.ask(verbs.Protect(self._place(gpu_uuid), identity.gi_id, uid), verbs.Done)

    def unprotect(self, gpu_uuid: str, identity: Identity) -> None:
        """Let nobody open them any more."""
        with suppress(errors.NotFound):
            self._hands.ask(verbs.Unprotect(self._place(gpu_uuid), identity.gi_id), verbs.Done)

    def secure(self, gpu_uuid: str) -> None:
        """Have the helper see that a whole GPU's node is as it should be."""
        self._hands.ask(verbs.Secure(self._place(gpu_uuid)), verbs.Done)

    def admit(self, gpu_uuid: str, identity: Identity, pid: int, started_ticks: int) -> None:
        """Let the cgroup of a process open them, too."""
        verb = verbs.Admit(self._place(gpu_uuid), identity.gi_id, pid, started_ticks)
        self._hands.ask(verb, verbs.Done)

    def occupants(self, gpu_uuid: str, identity: Identity) -> tuple[int, ...]:
        """The pids NVML lists on the instance, and those that have its nodes open."""
        look = verbs.Look(self._place(gpu_uuid), identity.gi_id)
        return self._hands.ask(look, verbs.Occupied).pids

    def computing(self, gpu_uuid: str, identity: Identity) -> tuple[int, ...]:
        """The pids NVML lists on the instance, whoever else has its nodes open."""
        look = verbs.Look(self._place(gpu_uuid), identity.gi_id)
        return self._hands.ask(look, verbs.Occupied).computing

    def end(
        self, gpu_uuid: str, identity: Identity, pid: int, started_ticks: int, *, gently: bool
    ) -> None:
        """End a process on the instance."""
        place = self._place(gpu_uuid)
        verb = verbs.Kill(place, identity.gi_id, pid, started_ticks, gently=gently)
        self._hands.ask(verb, verbs.Done)

    def memory(self, identity: Identity) -> tuple[int, int]:
        """Bytes used and bytes in all of the instance."""
        return self._own.memory(identity)

    def keep_counters(self, gpu_uuid: str, identity: Identity) -> int:
        """Keep the instance's performance counters as they are now."""
        return self._own.keep_counters(gpu_uuid, identity)

    def percent_between(self, gpu_uuid: str, earlier: int, later: int) -> dict[str, float]:
        """How busy the instance was between two kept counters."""
        return self._own.percent_between(gpu_uuid, earlier, later)

    def forget_counters(self, gpu_uuid: str, number: int) -> None:
        """Keep those counters no longer."""
        self._own.forget_counters(gpu_uuid, number)

    def busy_percent(self, gpu_uuid: str) -> float:
        """The part of the last period in which something ran on the GPU."""
        return self._own.busy_percent(gpu_uuid)

    def power_watts(self, gpu_uuid: str) -> float:
        """What the GPU's board draws."""
        return self._own.power_watts(gpu_uuid)

    def temperature_celsius(self, gpu_uuid: str) -> float:
        """The temperature of the GPU."""
        return self._own.temperature_celsius(gpu_uuid)

    def near_cpus(self, gpu_uuid: str) -> frozenset[int]:
        """The CPUs of the GPU's NUMA node."""
        return self._own.near_cpus(gpu_uuid)

    def access_paths(self, gpu_uuid: str, identity: Identity) -> tuple[Path, ...]:
        """None: they are the helper's to look at, and to lock there is nothing, as a node with a
        system broker has no other.
        """
        del gpu_uuid, identity
        return ()

    def lock_paths(self, gpu_uuid: str, identity: Identity) -> tuple[Path, ...]:
        """None, as above."""
        del gpu_uuid, identity
        return ()

    def described_nodes(self, gpu_uuid: str, identity: Identity) -> tuple[tuple[Path, Path], ...]:
        """The instance's own nodes and the capability files that describe them."""
        return self._own.described_nodes(gpu_uuid, identity)

    def closed_paths(self, gpu_uuid: str, identity: Identity) -> tuple[Path, ...]:
        """None: what this process cannot open its users can."""
        del gpu_uuid, identity
        return ()

    def mirror(self, identity: Identity, pid: int) -> None:
        """Show on a simulated instance what a process does; on hardware nothing is to be shown."""
        if isinstance(self._own, Mirror):
            self._own.mirror(identity, pid)

    def let_go(self) -> None:
        """Close NVML in both processes, so that the driver can be replaced."""
        if isinstance(self._own, Removable):
            self._own.let_go()
        self._hands.ask(verbs.LetGo(), verbs.Done)

    def take_up(self) -> None:
        """Open it again in both."""
        if isinstance(self._own, Removable):
            self._own.take_up()
        self._hands.ask(verbs.TakeUp(), verbs.Done)

    def close(self) -> None:
        """Let go of NVML, and of the helper."""
        self._own.close()
        self._hands.close()

    def _place(self, gpu_uuid: str) -> int:
        if gpu_uuid not in self._places:
            self.gpus()
        try:
            return self._places[gpu_uuid]
        except KeyError:
            raise errors.NotFound(
                f"GPU {gpu_uuid} is not one that this node's broker may cut", code=6
            ) from None
