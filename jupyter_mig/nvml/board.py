"""One GPU, with the lock that makes the calls on it follow one another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from threading import Lock

from jupyter_mig import errors
from jupyter_mig.core.geometry import Geometry, Gpu, Identity, Instance, Spec
from jupyter_mig.nvml import discovery, lifecycle, mode, observation, raw
from jupyter_mig.nvml.counters import Counters
from jupyter_mig.nvml.facts import Device
from jupyter_mig.nvml.handles import Handle
from jupyter_mig.nvml.patience import Patience
from jupyter_mig.nvml.translation import GAIN_PERMISSION


class Board:
    """All that can be done with one GPU. Other boards' calls do not wait for this one's."""

    def __init__(self, uuid: str, patience: Patience) -> None:
        self.uuid = uuid
        self._patience = patience
        self.lock = Lock()
        self._handle = Handle(uuid)
        self._mig_handles: dict[str, Handle] = {}
        self._geometry = Geometry()
        self._counters = Counters()
        self._near_cpus: frozenset[int] | None = None

    def describe(self, index: int) -> Gpu:
        """The GPU as it is now."""
        with self.lock:
            gpu = discovery.describe(self._handle.get(), index)
            self._geometry = gpu.geometry
            return gpu

    def instances(self) -> tuple[Instance, ...]:
        """The instances on it."""
        with self.lock:
            device = self._handle.get()
            if not self._geometry.profiles and raw.mig_enabled(device):
                self._geometry = discovery.geometry(device)
            return observation.instances(device, self._geometry)

    def create(self, spec: Spec) -> Identity:
        """Make an instance."""
        with self.lock:
            return lifecycle.create(self._handle.get(), spec, self._patience)

    def destroy(self, identity: Identity) -> None:
        """Destroy an instance with patience; others may use the board between the attempts."""

        def attempt() -> None:
            with self.lock:
                lifecycle.destroy(self._handle.get(), identity)

        try:
            self._patience.insist(attempt)
        except errors.InUse as error:
            error.situation = f"{error.situation} {self._suspects(identity)}"
            raise

    def turn_mig_on(self) -> bool:
        """Have MIG mode on; whether it was off."""
        with self.lock:
            return mode.turn_on(self._handle.get())

    def occupants(self, identity: Identity) -> tuple[int, ...]:
        """The pids on an instance, or computing on the GPU itself."""
        with self.lock:
            if identity.is_gpu:
                return observation.computing(self._handle.get())
            return observation.occupants(
                self._handle.get(), identity.gi_id, self._mig_devices(identity)
            )

    def memory(self, mig_uuid: str) -> tuple[int, int]:
        """Bytes used and in all of a MIG device, or of the GPU itself."""
        with self.lock:
            found = raw.memory(self._mig(mig_uuid).get())
        return found.used_bytes, found.total_bytes

    def keep_counters(self, identity: Identity) -> int:
        """Keep an instance's performance counters; the number under which."""
        with self.lock:
            gpu = self._handle.get()
            if identity.is_gpu:
                return self._counters.keep(gpu)
            if identity.mig_uuid is None:
                raise errors.NotFound(
                    f"GPU instance {identity.gi_id} has no compute instance, so nothing runs on it",
                    code=6,
                    call="nvmlGpmMigSampleGet",
                )
            return self._counters.keep(gpu, identity.gi_id, self._mig(identity.mig_uuid).get())

    def percent_between(self, earlier: int, later: int) -> dict[str, float]:
        """How busy an instance was between two kept counters."""
        with self.lock:
            return self._counters.percent_between(earlier, later)

    def forget_counters(self, number: int) -> None:
        """Keep those counters no longer."""
        with self.lock:
            self._counters.forget(number)

    def let_go(self) -> None:
        """Free what NVML has allotted: it must be before the session ends. The lock is held."""
        self._counters.forget_all()

    def ask(self, question: Callable[[Device], int]) -> int:
        """What the GPU itself answers."""
        with self.lock:
            return question(self._handle.get())

    def near_cpus(self) -> frozenset[int]:
        """The CPUs near the GPU, asked for once: neither moves."""
        with self.lock:
            if self._near_cpus is None:
                count = os.sysconf("SC_NPROCESSORS_CONF")
                self._near_cpus = raw.cpus_near(self._handle.get(), count)
            return self._near_cpus

    def minor(self) -> int:
        """The number of its device node and capability files."""
        with self.lock:
            return raw.device_minor(self._handle.get())

    def _mig(self, uuid: str) -> Handle:
        return self._mig_handles.setdefault(uuid, Handle(uuid))

    def _mig_devices(self, identity: Identity) -> Iterator[Device]:
        """The MIG device of an instance, looked up when it is asked for."""
        if identity.mig_uuid is None:
            raise errors.NoPermission(
                f"Who is on GPU instance {identity.gi_id} is not told to this user",
                next_step=GAIN_PERMISSION,
                code=4,
                call="nvmlDeviceGetComputeRunningProcesses_v3",
            )
        yield self._mig(identity.mig_uuid).get()

    def _suspects(self, identity: Identity) -> str:
        try:
            pids = self.occupants(identity)
        except errors.DriverError as error:
            return f"Who holds it is not known: {error.message}."
        return f"NVML lists on it: {', '.join(map(str, pids)) or 'no process'}."
