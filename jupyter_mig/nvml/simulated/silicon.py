"""The state of a node's GPUs: what would survive if every process on it were killed.

Immutable values only. They are what a state file holds, so all fields are plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from .codes import Code
from .drivers import NEWEST
from .faults import Fault
from .processes import Process
from .spec import NodeSpec

XID = 0x8
"""``nvmlEventTypeXidCriticalError``."""

MIG_CONFIG_CHANGE = 0x100
"""``nvmlEventMigConfigChange``."""

_EVENTS_KEPT = 64


class ComputeInstance(msgspec.Struct, frozen=True):
    """A compute instance. ``start`` and ``size`` are compute slices inside its GPU instance."""

    serial: int
    """Never given twice on a node, so that a stale handle is recognised."""
    id: int
    profile_id: int
    start: int
    size: int
    index: int
    """Its place in ``nvmlDeviceGetMigDeviceHandleByIndex``; holes stay where others were."""


class GpuInstance(msgspec.Struct, frozen=True):
    """A GPU instance. ``start`` and ``size`` are memory slices of the GPU."""

    serial: int
    id: int
    profile_id: int
    start: int
    size: int
    compute_instances: tuple[ComputeInstance, ...] = ()


class Gpu(msgspec.Struct, frozen=True):
    """One GPU."""

    mig_mode: bool
    pending_mig_mode: bool
    trouble: int = Code.SUCCESS
    """What every call on it answers: 15 when it fell off the bus, 16 when it needs a reset."""
    instances: tuple[GpuInstance, ...] = ()

    @property
    def occupied(self) -> frozenset[int]:
        """Memory slices that belong to a GPU instance."""
        return frozenset(
            slot for one in self.instances for slot in range(one.start, one.start + one.size)
        )


class CudaClient(msgspec.Struct, frozen=True):
    """A process with a CUDA or graphics context, on a compute instance or (None) the plain GPU."""

    serial: int
    process: Process
    gpu: int
    compute_serial: int | None
    memory_bytes: int
    graphics: bool = False
    """Whether it draws instead (OpenGL, Vulkan): NVML lists it elsewhere."""


class Hold(msgspec.Struct, frozen=True):
    """Somebody has a GPU instance open without being a process that NVML would list."""

    serial: int
    gpu: int
    instance_serial: int
    until_monotonic_seconds: float | None
    """When it is let go by itself; None is never."""


class Event(msgspec.Struct, frozen=True):
    """Something that NVML tells those who wait for it. ``data`` is an Xid's number."""

    number: int
    gpu: int
    type: int
    data: int = 0


class Mirror(msgspec.Struct, frozen=True):
    """A process tree whose resident memory is shown as used on a compute instance."""

    process: Process
    compute_serial: int


class Place(NamedTuple):
    """Where a compute instance is."""

    gpu: int
    instance: GpuInstance
    compute: ComputeInstance


class Silicon(msgspec.Struct, frozen=True):
    """Everything about the node that is not in a process."""

    models: tuple[str, ...]
    boot_id: str
    """Instances do not survive a reboot: a state of another boot is void."""
    gpus: tuple[Gpu, ...]
    serial: int = 0
    clients: tuple[CudaClient, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    faults: tuple[Fault, ...] = ()
    driver: str = NEWEST
    trouble: int = Code.SUCCESS
    """What every call answers: 9 without a driver, 18 when it was upgraded under the library."""
    holds: tuple[Hold, ...] = ()
    events: tuple[Event, ...] = ()
    """The last ones."""
    root: str | None = None
    devices: bool = False
    """Where the capability tree is laid out."""
    numa: int | None = None
    """How many NUMA nodes to pretend; None: as this machine is."""

    def with_gpu(self, index: int, gpu: Gpu) -> Silicon:
        """The same node with one GPU changed."""
        return replace(self, gpus=(*self.gpus[:index], gpu, *self.gpus[index + 1 :]))

    def with_instance(self, index: int, changed: GpuInstance) -> Silicon:
        """The same node with one GPU instance changed, known by its serial."""
        gpu = self.gpus[index]
        instances = tuple(changed if one.serial == changed.serial else one for one in gpu.instances)
        return self.with_gpu(index, replace(gpu, instances=instances))

    def instance(self, gpu: int, serial: int) -> GpuInstance | None:
        """The GPU instance with this serial, while it exists."""
        return next((one for one in self.gpus[gpu].instances if one.serial == serial), None)

    def places(self, gpu: int) -> Iterator[Place]:
        """All compute instances of one GPU."""
        for instance in self.gpus[gpu].instances:
            for compute in instance.compute_instances:
                yield Place(gpu, instance, compute)

    def place(self, compute_serial: int) -> Place | None:
        """The compute instance with this serial, while it exists."""
        everywhere = (place for gpu in range(len(self.gpus)) for place in self.places(gpu))
        return next((one for one in everywhere if one.compute.serial == compute_serial), None)

    def clients_on(self, gpu: int) -> tuple[CudaClient, ...]:
        """CUDA clients of one GPU, on its instances and beside them."""
        return tuple(client for client in self.clients if client.gpu == gpu)

    @property
    def last_event(self) -> int:
        """The number of the newest event."""
        return self.events[-1].number if self.events else 0

    def with_event(self, gpu: int, kind: int, data: int = 0) -> Silicon:
        """The same node with one more thing to tell."""
        event = Event(self.last_event + 1, gpu, kind, data)
        return replace(self, events=(*self.events, event)[-_EVENTS_KEPT:])

    def is_held(self, instance_serial: int) -> bool:
        """Whether somebody unlisted has the GPU instance open."""
        return any(hold.instance_serial == instance_serial for hold in self.holds)

    def at(self, monotonic_seconds: float) -> Silicon:
        """The same node without the holds that are over by then."""
        holds = tuple(
            hold
            for hold in self.holds
            if hold.until_monotonic_seconds is None
            or hold.until_monotonic_seconds > monotonic_seconds
        )
        return self if len(holds) == len(self.holds) else replace(self, holds=holds)

    def with_processes(self, alive: Callable[[Process], bool]) -> Silicon:
        """The same node without the clients and mirrors of processes that are gone."""
        clients = tuple(client for client in self.clients if alive(client.process))
        mirrors = tuple(
            mirror
            for mirror in self.mirrors
            if alive(mirror.process) and self.place(mirror.compute_serial)
        )
        if len(clients) == len(self.clients) and len(mirrors) == len(self.mirrors):
            return self
        return replace(self, clients=clients, mirrors=mirrors)


def fresh(spec: NodeSpec, boot_id: str) -> Silicon:
    """A node as it comes out of a reboot: no instances, no clients."""
    gpu = Gpu(mig_mode=spec.mig, pending_mig_mode=spec.mig)
    return Silicon(
        models=spec.models,
        boot_id=boot_id,
        gpus=(gpu,) * len(spec.models),
        driver=spec.driver,
        root=spec.root,
        devices=spec.devices,
        numa=spec.numa,
    )
