"""The one driver: the hardware port over whatever NVML is loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Event, Lock

from jupyter_mig import errors
from jupyter_mig.core.geometry import Gpu, Identity, Instance, Spec
from jupyter_mig.nvml import raw
from jupyter_mig.nvml.access import NOWHERE, AccessNodes
from jupyter_mig.nvml.board import Board
from jupyter_mig.nvml.patience import Patience
from jupyter_mig.nvml.port import HardwarePort

log = logging.getLogger(__name__)

DESTROY_PATIENCE_SECONDS = 5.0


class Driver:
    """A session with NVML, from construction until :meth:`close`; for any number of threads.

    ``destroy_patience_seconds`` bounds how long a destroy is retried on In Use; ``access`` says
    where capability files and nodes are; ``library`` is entered first and left last (it puts an
    NVML under pynvml). Raises NoDriver if NVML cannot be opened.
    """

    def __init__(
        self,
        name: str = "nvml",
        *,
        simulated: bool = False,
        access: AccessNodes | None = None,
        destroy_patience_seconds: float = DESTROY_PATIENCE_SECONDS,
        library: AbstractContextManager[object] | None = None,
    ) -> None:
        self.name = name
        self._access = access or AccessNodes()
        self._closed = Event()
        self._patience = Patience(destroy_patience_seconds, over=self._closed)
        self._lock = Lock()
        self._boards: dict[str, Board] = {}
        self._gpu_of_mig: dict[str, str] = {}
        self._logged: set[tuple[int, int]] = set()
        self._away = False
        with ExitStack() as opening:
            opening.enter_context(library or nullcontext())
            raw.open_session()
            opening.callback(self._end_session)
            self.simulated = simulated or raw.is_simulated()
            self._open = opening.pop_all()

    def gpus(self) -> tuple[Gpu, ...]:
        """All GPUs we may see, with profiles and placements where MIG is on.

        One that is lost, that a container or job may not open, or that answers nonsense, is left
        out and logged once; if nothing else is there, its error is raised.
        """
        found, left_out = [], []
        for index in range(raw.device_count()):
            try:
                found.append(self._board(_uuid_at(index)).describe(index))
            except errors.DriverError as error:  # noqa: PERF203 - one of many
                left_out.append(error)
                self._log_once(index, error)
        if left_out and not found:
            raise left_out[0]
        return tuple(found)

    def instances(self, gpu_uuid: str) -> tuple[Instance, ...]:
        """All instances on one GPU; none where MIG is off."""
        return self._board(gpu_uuid).instances()

    def create(self, spec: Spec) -> Identity:
        """Make a GPU instance at ``spec.start`` with one whole-size compute instance."""
        return self._board(spec.gpu_uuid).create(spec)

    def destroy(self, gpu_uuid: str, identity: Identity) -> None:
        """Destroy an instance; gone already is fine.

        Raises InUse when patience is over, NotFound when its id has passed to another instance.
        """
        self._board(gpu_uuid).destroy(identity)

    def occupants(self, gpu_uuid: str, identity: Identity) -> tuple[int, ...]:
        """The pids NVML lists on the instance."""
        return self._board(gpu_uuid).occupants(identity)

    def memory(self, identity: Identity) -> tuple[int, int]:
        """Bytes used and bytes in all of the instance."""
        if identity.mig_uuid is None:
            raise errors.NotFound(
                f"GPU instance {identity.gi_id} has no compute instance, so no memory reading",
                code=6,
                call="nvmlDeviceGetMemoryInfo",
            )
        gpu_uuid = identity.mig_uuid if identity.is_gpu else self._gpu_with(identity.mig_uuid)
        return self._board(gpu_uuid).memory(identity.mig_uuid)

    def keep_counters(self, gpu_uuid: str, identity: Identity) -> int:
        """Keep an instance's performance counters as they are now; the number under which."""
        return self._board(gpu_uuid).keep_counters(identity)

    def percent_between(self, gpu_uuid: str, earlier: int, later: int) -> dict[str, float]:
        """How busy an instance was between two kept counters."""
        return self._board(gpu_uuid).percent_between(earlier, later)

    def forget_counters(self, gpu_uuid: str, number: int) -> None:
        """Keep those counters no longer."""
        self._board(gpu_uuid).forget_counters(number)

    def busy_percent(self, gpu_uuid: str) -> float:
        """The part of the last period in which something ran on a GPU without MIG."""
        return self._board(gpu_uuid).ask(raw.busy_percent)

    def power_watts(self, gpu_uuid: str) -> float:
        """What the GPU's board draws."""
        return self._board(gpu_uuid).ask(raw.power_milliwatts) / 1000

    def temperature_celsius(self, gpu_uuid: str) -> float:
        """The temperature of the GPU."""
        return self._board(gpu_uuid).ask(raw.temperature_celsius)

    def near_cpus(self, gpu_uuid: str) -> frozenset[int]:
        """The CPUs of the GPU's NUMA node."""
        return self._board(gpu_uuid).near_cpus()

    def access_paths(self, gpu_uuid: str, identity: Identity) -> tuple[Path, ...]:
        """The instance's device nodes that exist."""
        return self._access.of(self._board(gpu_uuid).minor(), identity)

    def lock_paths(self, gpu_uuid: str, identity: Identity) -> tuple[Path, ...]:
        """What to lock before the instance is handed out; a path that is missing counts."""
        return self._access.own(self._board(gpu_uuid).minor(), identity)

    def described_nodes(self, gpu_uuid: str, identity: Identity) -> tuple[tuple[Path, Path], ...]:
        """The instance's own nodes and the capability files that describe them."""
        if self._access == NOWHERE:
            return ()
        return self._access.pairs(self._board(gpu_uuid).minor(), identity)

    def closed_paths(self, gpu_uuid: str, identity: Identity) -> tuple[Path, ...]:
        """The device nodes needed for the instance that this process cannot open."""
        return self._access.closed(self._board(gpu_uuid).minor(), identity)

    def turn_mig_on(self, gpu_uuid: str) -> bool:
        """Have MIG mode on; whether it was off. No GPU is reset for it."""
        return self._board(gpu_uuid).turn_mig_on()

    def close(self) -> None:
        """End the session, after the calls under way; a destroy that is retrying gives up.

        Closing again does nothing; other calls then raise NoDriver.
        """
        self._closed.set()
        with self._idle():
            self._open.close()

    def let_go(self) -> None:
        """End the session after the calls under way, so that the kernel's driver can be replaced,
        until :meth:`take_up`. Meanwhile other calls raise NoDriver.
        """
        with self._idle():
            self._end_session()
            self._away = True

    def take_up(self) -> None:
        """Open it again, if it was let go. Raises NoDriver if it cannot be opened."""
        with self._lock:
            if self._away:
                raw.open_session()
                self._away = False

    def _end_session(self) -> None:
        if not self._away:
            raw.close_session()

    @contextmanager
    def _idle(self) -> Iterator[None]:
        """While no board is at work, and none keeps a handle."""
        with ExitStack() as idle:
            idle.enter_context(self._lock)
            for board in self._boards.values():
                idle.enter_context(board.lock)
                board.let_go()
            yield

    def _board(self, gpu_uuid: str) -> Board:
        with self._lock:
            if gpu_uuid not in self._boards:
                self._boards[gpu_uuid] = Board(gpu_uuid, self._patience)
            return self._boards[gpu_uuid]

    def _gpu_with(self, mig_uuid: str) -> str:
        """The GPU of a MIG device: looked up once, for a MIG UUID never moves to another GPU."""
        with self._lock:
            if mig_uuid not in self._gpu_of_mig:
                gpu = raw.parent(raw.device_by_uuid(mig_uuid))
                self._gpu_of_mig[mig_uuid] = raw.device_uuid(gpu)
            return self._gpu_of_mig[mig_uuid]

    def _log_once(self, index: int, error: errors.DriverError) -> None:
        if (index, error.code) not in self._logged:
            self._logged.add((index, error.code))
            log.warning("GPU %d is left out: %s", index, error)


def _uuid_at(index: int) -> str:
    """The UUID of a GPU. One without would be taken for another."""
    uuid = raw.device_uuid(raw.device_by_index(index))
    if not uuid.startswith("GPU-"):
        raise errors.DriverError(
            "NVML answers nonsense",
            situation=f"The UUID of GPU {index} is {uuid or 'empty'}.",
            call="nvmlDeviceGetUUID",
        )
    return uuid


def open_driver(name: str, state: Path | None = None) -> HardwarePort:
    """The driver that ``JUPYTER_MIG_DRIVER`` names: ``nvml``, or ``simulated:`` and a node.

    ``state`` is the file where a simulated node keeps its silicon between processes. Raises
    UnknownDriver for other names, NoDriver where there is no NVIDIA driver or the file is bad.
    """
    kind, _, node = name.partition(":")
    if name == "nvml":
        return Driver()
    if kind == "simulated" and node:
        return _simulated(name, node, state)
    raise errors.UnknownDriver(
        f"There is no driver called {name}",
        situation="Drivers are: nvml, and simulated: followed by a node.",
        next_step="Set JUPYTER_MIG_DRIVER to nvml or, say, simulated:2xA100-SXM4-40GB",
    )


class SimulatedDriver(Driver):
    """The driver over a simulated node whose silicon is in the file ``state``."""

    def __init__(
        self, name: str, state: Path, access: AccessNodes, library: AbstractContextManager[object]
    ) -> None:
        super().__init__(name, simulated=True, access=access, library=library)
        self._state = state

    def mirror(self, identity: Identity, pid: int) -> None:
        """Show the memory of a process as used on the instance: see :class:`Mirror`."""
        from jupyter_mig.nvml import simulated

        # Of a process or device that is gone there is nothing to show.
        with suppress(simulated.NoSuchDevice, ProcessLookupError):
            simulated.attached(self._state).mirror(identity.mig_uuid or "", pid)


def _simulated(name: str, node: str, state: Path | None) -> Driver:
    from jupyter_mig.nvml import simulated

    spec = simulated.parse(node)
    access = AccessNodes.under(Path(spec.root)) if spec.root else NOWHERE
    library = simulated.installed(spec, state=state)
    try:
        if state is None:
            return Driver(name, simulated=True, access=access, library=library)
        return SimulatedDriver(name, state, access, library)
    except simulated.StateError as error:
        raise errors.NoDriver(
            "The simulated node cannot be opened", situation=str(error), call="nvmlInit"
        ) from error
