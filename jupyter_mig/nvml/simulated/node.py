"""The simulated node seen from outside NVML: for tests, for the demo, for an admin's hand.

Nothing here goes through privileges or faults. What a program under test may know it learns from
NVML; a test asks the node for the truth.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType

import msgspec
from msgspec.structs import replace

from . import partitioning
from .codes import Code, Returned
from .faults import Fault
from .identity import gpu_uuid, mig_uuid
from .machine import Machine
from .processes import observe
from .silicon import XID, CudaClient, GpuInstance, Hold, Mirror, Place, Silicon
from .spec import NodeSpec

_XIDS = {Code.GPU_IS_LOST: 79, Code.RESET_REQUIRED: 95}
"""What the kernel log says when a GPU falls off the bus, or has an error it cannot contain."""


class NoSuchDevice(LookupError):
    """No GPU or MIG device of the node has that UUID; the message lists those there are."""


class ComputeInstanceSeen(msgspec.Struct, frozen=True):
    """A compute instance; ``start`` and ``size`` are compute slices of its GPU instance."""

    id: int
    start: int
    size: int
    index: int
    mig_uuid: str


class GpuInstanceSeen(msgspec.Struct, frozen=True):
    """A GPU instance; ``start`` and ``size`` are memory slices of the GPU."""

    id: int
    profile: str
    start: int
    size: int
    compute_instances: tuple[ComputeInstanceSeen, ...]


class GpuSeen(msgspec.Struct, frozen=True):
    """A GPU with all that is on it."""

    index: int
    uuid: str
    model: str
    mig_mode: bool
    lost: bool
    reset_required: bool
    instances: tuple[GpuInstanceSeen, ...]


class Presence(AbstractContextManager["Presence"]):
    """What keeps an instance from going: a process that is a client, or something that holds it
    open. It ends by release, and a client with its process.
    """

    def __init__(self, machine: Machine, serial: int) -> None:
        self._machine = machine
        self._serial = serial

    def release(self) -> None:
        """Be there no more. Harmless when that has happened already."""
        self._machine.change(lambda now: (self._without(now), None))

    def _without(self, now: Silicon) -> Silicon:
        clients = tuple(one for one in now.clients if one.serial != self._serial)
        holds = tuple(one for one in now.holds if one.serial != self._serial)
        return replace(now, clients=clients, holds=holds)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class Node(AbstractContextManager["Node"]):
    """A simulated node. Operations refused by the hardware raise ``Returned`` with the code.

    As a context manager it closes itself; what lives in a state file stays.
    """

    def __init__(self, spec: NodeSpec, machine: Machine) -> None:
        self.spec = spec
        self._machine = machine

    @property
    def gpus(self) -> tuple[GpuSeen, ...]:
        """All GPUs as they are now."""
        now = self._machine.state()
        return tuple(self._seen(now, index) for index in range(len(now.gpus)))

    @property
    def mig_uuids(self) -> tuple[str, ...]:
        """All MIG devices there are now."""
        now = self._machine.state()
        return tuple(mig_uuid(now.models, place) for place in _places(now))

    @property
    def clients(self) -> tuple[int, ...]:
        """Pids of all CUDA clients, in the order they became one."""
        return tuple(client.process.pid for client in self._machine.state().clients)

    def create(self, gpu: int, profile: str, start: int | None = None) -> str:
        """Make a slice as an admin would behind the broker's back; gives its MIG UUID."""
        model = self._machine.models[gpu]
        kind = model.profile_by_name(profile)
        instance = self._machine.create_gpu_instance(gpu, kind, start)
        place = self._machine.create_compute_instance(gpu, instance, kind.whole)
        return mig_uuid(self._machine.names, place)

    def destroy(self, uuid: str) -> None:
        """Remove a slice, compute instance and GPU instance, as an admin would."""
        place = self._place(self._machine.state(), uuid)
        self._machine.destroy_compute_instance(place)
        self._machine.destroy_gpu_instance(place.gpu, place.instance)

    def cuda_client(self, uuid: str, pid: int | None = None, *, memory_bytes: int = 0) -> Presence:
        """Make a process (by default this one) a CUDA client of a MIG device or a plain GPU.

        From then on NVML lists it and destroying fails with In Use; on a plain GPU, making the
        first GPU instance does.
        """
        return self._client(uuid, pid, memory_bytes, graphics=False)

    def graphics_client(
        self, uuid: str, pid: int | None = None, *, memory_bytes: int = 0
    ) -> Presence:
        """Make a process draw on a ``+gfx`` instance or a plain GPU; others refuse with 3."""
        now = self._machine.state()
        gpu, compute = self._target(now, uuid)
        place = None if compute is None else now.place(compute)
        if place and "+gfx" not in self._machine.profile_of(gpu, place.instance).name:
            raise Returned(Code.NOT_SUPPORTED)
        return self._client(uuid, pid, memory_bytes, graphics=True)

    def hold(self, uuid: str, *, seconds: float | None = None) -> Presence:
        """Have a GPU instance open as a monitor may have: no process is listed on it.

        Its compute instance can be destroyed, then the GPU instance is In Use: until it is let go,
        or for so many real seconds from now.
        """
        until = None if seconds is None else time.monotonic() + seconds

        def add(now: Silicon) -> tuple[Silicon, Hold]:
            place = self._place(now, uuid)
            hold = Hold(now.serial + 1, place.gpu, place.instance.serial, until)
            return replace(now, serial=hold.serial, holds=(*now.holds, hold)), hold

        return Presence(self._machine, self._machine.change(add).serial)

    def mirror(self, uuid: str, pid: int) -> None:
        """Show the resident memory of a process tree as used on a MIG device (the demo).

        It blocks nothing, and ends with the process or the device.
        """
        process = observe(pid)

        def add(now: Silicon) -> tuple[Silicon, None]:
            mirror = Mirror(process, self._place(now, uuid).compute.serial)
            return replace(now, mirrors=(*now.mirrors, mirror)), None

        self._machine.change(add)

    def inject(self, *faults: Fault) -> None:
        """Set faults, behind those already set."""
        self._machine.change(lambda now: (replace(now, faults=(*now.faults, *faults)), None))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults not spent yet."""
        return self._machine.state().faults

    def clear_faults(self) -> None:
        """Take all faults away."""
        self._machine.change(lambda now: (replace(now, faults=()), None))

    def set_mig_mode(self, gpu: int, *, on: bool) -> None:
        """Turn MIG mode on or off as an admin would; ``Returned`` when it stays pending."""
        code = self._machine.set_mig_mode(gpu, on=on)
        if code:
            raise Returned(code)

    def lose(self, gpu: int) -> None:
        """The GPU falls off the bus: every call on it answers 15."""
        self._machine.change(lambda now: (_troubled(now, gpu, Code.GPU_IS_LOST), None))

    def require_reset(self, gpu: int) -> None:
        """The GPU met an error it cannot contain (Xid 95): calls answer 16 until a reset."""
        self._machine.change(lambda now: (_troubled(now, gpu, Code.RESET_REQUIRED), None))

    def recover(self, gpu: int) -> None:
        """A lost GPU answers again, as it was."""
        self._machine.change(lambda now: (_troubled(now, gpu, Code.SUCCESS), None))

    def reset(self, gpu: int) -> None:
        """Reset the GPU: back on the bus, instances gone, a pending MIG mode active."""
        self._machine.change(lambda now: (partitioning.reset(now, gpu), None))

    def remove_driver(self) -> None:
        """The kernel modules are gone: calls answer 9. What was on the GPUs is kept."""
        self._set_trouble(Code.DRIVER_NOT_LOADED)

    def upgrade_driver(self) -> None:
        """The driver is replaced under running programs, whose library then answers 18."""
        self._set_trouble(Code.LIB_RM_VERSION_MISMATCH)

    def restore_driver(self) -> None:
        """The driver is loaded again and is the library's."""
        self._set_trouble(Code.SUCCESS)

    def close(self) -> None:
        """Let go of the state file. The node itself stays as it is."""
        self._machine.storage.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _client(self, uuid: str, pid: int | None, memory_bytes: int, *, graphics: bool) -> Presence:
        process = observe(os.getpid() if pid is None else pid)

        def add(now: Silicon) -> tuple[Silicon, CudaClient]:
            gpu, compute = self._target(now, uuid)
            client = CudaClient(now.serial + 1, process, gpu, compute, memory_bytes, graphics)
            return replace(now, serial=client.serial, clients=(*now.clients, client)), client

        return Presence(self._machine, self._machine.change(add).serial)

    def _set_trouble(self, code: Code) -> None:
        self._machine.change(lambda now: (replace(now, trouble=code), None))

    def _target(self, now: Silicon, uuid: str) -> tuple[int, int | None]:
        for index in range(len(now.gpus)):
            if uuid == gpu_uuid(now.models, index):
                return index, None
        place = self._place(now, uuid)
        return place.gpu, place.compute.serial

    def _place(self, now: Silicon, uuid: str) -> Place:
        by_uuid = {mig_uuid(now.models, place): place for place in _places(now)}
        if uuid not in by_uuid:
            known = ", ".join(by_uuid) or "no MIG devices"
            raise NoSuchDevice(f"the node has no device {uuid}; it has {known}")
        return by_uuid[uuid]

    def _seen(self, now: Silicon, index: int) -> GpuSeen:
        gpu = now.gpus[index]
        return GpuSeen(
            index=index,
            uuid=gpu_uuid(now.models, index),
            model=now.models[index],
            mig_mode=gpu.mig_mode,
            lost=gpu.trouble == Code.GPU_IS_LOST,
            reset_required=gpu.trouble == Code.RESET_REQUIRED,
            instances=tuple(self._instance_seen(now, index, one) for one in gpu.instances),
        )

    def _instance_seen(self, now: Silicon, gpu: int, instance: GpuInstance) -> GpuInstanceSeen:
        return GpuInstanceSeen(
            id=instance.id,
            profile=self._machine.profile_of(gpu, instance).name,
            start=instance.start,
            size=instance.size,
            compute_instances=tuple(
                ComputeInstanceSeen(
                    one.id,
                    one.start,
                    one.size,
                    one.index,
                    mig_uuid(now.models, Place(gpu, instance, one)),
                )
                for one in instance.compute_instances
            ),
        )


def _places(now: Silicon) -> Iterator[Place]:
    for gpu in range(len(now.gpus)):
        yield from now.places(gpu)


def _troubled(now: Silicon, gpu: int, code: Code) -> Silicon:
    after = now.with_gpu(gpu, replace(now.gpus[gpu], trouble=code))
    xid = _XIDS.get(code)
    return after if xid is None else after.with_event(gpu, XID, xid)
