"""Memory readings in bytes, of a GPU instance and of a whole GPU."""

from __future__ import annotations

from typing import NamedTuple

from .machine import Machine
from .processes import resident_bytes_of_tree
from .silicon import GpuInstance, Silicon

MIB = 1 << 20


class Memory(NamedTuple):
    """``total`` is ``reserved + used + free``."""

    total: int
    reserved: int
    used: int

    @property
    def free(self) -> int:
        """What a CUDA program could still allocate."""
        return self.total - self.reserved - self.used


def of_instance(machine: Machine, now: Silicon, gpu: int, instance: GpuInstance) -> Memory:
    """The memory of a GPU instance, which its compute instances share."""
    profile = machine.profile_of(gpu, instance)
    total = profile.memory_mib * MIB
    serials = {one.serial for one in instance.compute_instances}
    clients = sum(one.memory_bytes for one in now.clients if one.compute_serial in serials)
    mirrored = sum(
        resident_bytes_of_tree(one.process.pid)
        for one in now.mirrors
        if one.compute_serial in serials
    )
    return Memory(total, 0, min(total, profile.idle_mib * MIB + clients + mirrored))


def of_gpu(machine: Machine, now: Silicon, gpu: int) -> Memory:
    """The memory of a whole GPU: all its instances and the clients beside them."""
    model = machine.models[gpu]
    total, reserved = model.memory_mib * MIB, model.reserved_mib * MIB
    in_slices = sum(of_instance(machine, now, gpu, one).used for one in now.gpus[gpu].instances)
    beside = sum(one.memory_bytes for one in now.clients_on(gpu) if one.compute_serial is None)
    return Memory(total, reserved, min(total - reserved, in_slices + beside))
