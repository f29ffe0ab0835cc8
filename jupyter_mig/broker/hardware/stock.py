"""What one GPU has to offer now, under its inventory."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from jupyter_mig import errors
from jupyter_mig.broker.hardware.hints import CudaDevice
from jupyter_mig.broker.hardware.inventory import Choice, Inventories, Inventory
from jupyter_mig.broker.memory.failures import text_of
from jupyter_mig.core import cpus, sizes
from jupyter_mig.core.geometry import NO_GPU_INSTANCE, Gpu, Identity, Instance, Spec
from jupyter_mig.nvml.port import HardwarePort, Warden

MIG_IS_ON = "MIG mode is on: the GPU cannot be had as a whole"
NO_PLACEMENTS = "Where slices lie is not available: needs the mig/config capability or root"
_MANY = 3


class Stock(msgspec.Struct, frozen=True):
    """``instances`` are all there are; those in ``withheld`` (UUIDs) are not for us to use.

    ``problem`` is in the way of starting anything; ``notes`` are what a person should know.
    ``near_cpus`` is the list of CPUs near the GPU; empty: not known.
    """

    choice: Choice
    instances: tuple[Instance, ...] = ()
    withheld: tuple[str, ...] = ()
    problem: str = ""
    notes: tuple[str, ...] = ()
    near_cpus: str = ""

    @property
    def creates(self) -> bool:
        """Whether instances are made and destroyed here."""
        return self.choice.inventory is Inventory.DYNAMIC


def take(driver: HardwarePort, gpu: Gpu, inventories: Inventories) -> Stock:
    """Look at one GPU. Raises any DriverError; nothing is left out."""
    choice = inventories.of(gpu, simulated=driver.simulated)
    return replace(_taken(driver, gpu, inventories, choice), near_cpus=_near_cpus(driver, gpu))


def _taken(driver: HardwarePort, gpu: Gpu, inventories: Inventories, choice: Choice) -> Stock:
    if choice.inventory is Inventory.FULL:
        return _whole(driver, gpu, choice)
    if choice.inventory is Inventory.VISIBLE:
        return _visible(driver, gpu, inventories, choice)
    return Stock(choice, driver.instances(gpu.uuid), notes=_unknown(gpu))


def _near_cpus(driver: HardwarePort, gpu: Gpu) -> str:
    try:
        return cpus.listed(driver.near_cpus(gpu.uuid))
    except errors.DriverError:
        return ""  # a kernel runs as well anywhere; it is only slower to talk to its GPU


def _unknown(gpu: Gpu) -> tuple[str, ...]:
    """What a reader without privilege is not told."""
    return (NO_PLACEMENTS,) if gpu.mig_enabled and not gpu.geometry.units else ()


def _whole(driver: HardwarePort, gpu: Gpu, choice: Choice) -> Stock:
    """The GPU itself; never together with MIG instances."""
    if gpu.mig_enabled:
        return Stock(choice, problem=MIG_IS_ON)
    return _secured(driver, gpu, Stock(choice, _things(driver, gpu)))


def _secured(driver: HardwarePort, gpu: Gpu, found: Stock) -> Stock:
    """What was changed is put right. If the GPU cannot be closed to others, where it should be, who
    has it keeps it and nobody new gets it; nor is it worth waiting for, unless that may pass.
    """
    if isinstance(driver, Warden) and driver.isolates:
        try:
            driver.secure(gpu.uuid)
        except errors.InUse as error:
            return replace(found, problem=text_of(error))
        except errors.NoPermission as error:
            return replace(found, problem=text_of(error), withheld=(gpu.uuid,))
    return found


def _things(driver: HardwarePort, gpu: Gpu) -> tuple[Instance, ...]:
    """What CUDA sees of a GPU: its MIG devices, or itself."""
    if gpu.mig_enabled:
        return driver.instances(gpu.uuid)
    identity = Identity.of_gpu(gpu.uuid)
    whole = Instance(
        spec=Spec(gpu.uuid, NO_GPU_INSTANCE),
        identity=identity,
        profile_name=sizes.whole_gpu(gpu.memory_bytes),
        memory_bytes=gpu.memory_bytes,
        occupants=driver.occupants(gpu.uuid, identity),
    )
    return (whole,)


def _visible(driver: HardwarePort, gpu: Gpu, inventories: Inventories, choice: Choice) -> Stock:
    found = _things(driver, gpu)
    closed = {
        one.identity.mig_uuid or "": driver.closed_paths(gpu.uuid, one.identity) for one in found
    }
    meant = inventories.hints.narrow(_openable(driver))
    return Stock(
        choice,
        found,
        withheld=tuple(uuid for uuid, paths in closed.items() if paths or uuid not in meant.uuids),
        notes=(
            *meant.notes,
            *[f"{uuid}: {paths[0]} cannot be opened" for uuid, paths in closed.items() if paths][
                :_MANY
            ],
            *_unknown(gpu),
        ),
    )


def _openable(driver: HardwarePort) -> list[CudaDevice]:
    """Everything on the node that CUDA could use from here, in CUDA's order."""
    return [device for gpu in driver.gpus() for device in _openable_on(driver, gpu)]


def _openable_on(driver: HardwarePort, gpu: Gpu) -> Iterator[CudaDevice]:
    try:
        found = _things(driver, gpu)
        usable = [one for one in found if not driver.closed_paths(gpu.uuid, one.identity)]
    except errors.DriverError:
        return  # CUDA cannot use it either
    for one in sorted(usable, key=lambda one: one.identity.gi_id):
        yield CudaDevice(gpu.index, gpu.uuid, one.identity, gpu.name)
