"""Making and removing instances: the rules of the driver, without its clock.

Each function takes a node's state and gives the next one, or raises the code NVML would return.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import TypeVar

from msgspec.structs import replace

from .codes import Code, Returned
from .geometry import creatable_starts, default_start, gpu_instance_id
from .models import ComputeProfile, Model, Profile
from .silicon import MIG_CONFIG_CHANGE, ComputeInstance, Gpu, GpuInstance, Place, Silicon

_Found = TypeVar("_Found")


def is_mirrored(gpu: int) -> bool:
    """Whether the halves of this die are swapped: on every second GPU, so nobody relies on it."""
    return gpu % 2 == 1


def create_gpu_instance(
    silicon: Silicon, model: Model, index: int, profile: Profile, start: int | None = None
) -> tuple[Silicon, GpuInstance]:
    """Make a GPU instance at ``start``, or where the driver likes it best."""
    gpu = _available(silicon, index)
    if not gpu.instances and silicon.clients_on(index):
        raise Returned(Code.IN_USE)
    where = default_start(model, gpu, profile) if start is None else start
    if where is None or where not in creatable_starts(model, gpu, profile):
        raise Returned(Code.INSUFFICIENT_RESOURCES)
    made = GpuInstance(
        serial=silicon.serial + 1,
        id=gpu_instance_id(model, profile, where, mirrored=is_mirrored(index)),
        profile_id=profile.id,
        start=where,
        size=profile.size,
    )
    after = replace(silicon, serial=made.serial)
    filled = after.with_gpu(index, replace(gpu, instances=(*gpu.instances, made)))
    return filled.with_event(index, MIG_CONFIG_CHANGE), made


def destroy_gpu_instance(silicon: Silicon, index: int, serial: int) -> Silicon:
    """Remove a GPU instance that has no compute instance any more and that nobody has open."""
    gpu = _available(silicon, index)
    instance = _present(silicon.instance(index, serial))
    if instance.compute_instances or silicon.is_held(serial):
        raise Returned(Code.IN_USE)
    left = tuple(one for one in gpu.instances if one.serial != serial)
    after = silicon.with_gpu(index, replace(gpu, instances=left))
    return after.with_event(index, MIG_CONFIG_CHANGE)


def compute_starts(model: Model, instance: GpuInstance, profile: ComputeProfile) -> list[int]:
    """Starts inside the GPU instance at which the compute profile fits now."""
    present = instance.compute_instances
    taken = {slot for one in present for slot in range(one.start, one.start + one.size)}
    slices = _profile_of(model, instance).slices - sum(one.size for one in present)
    same = sum(one.profile_id == profile.id for one in present)
    if slices < profile.slices or same >= profile.max_count:
        return []
    return [
        start for start in profile.starts if taken.isdisjoint(range(start, start + profile.slices))
    ]


def compute_capacity(model: Model, instance: GpuInstance, profile: ComputeProfile) -> int:
    """How many more compute instances of this profile fit in the GPU instance."""
    fitting = 0
    while starts := compute_starts(model, instance, profile):
        instance = _with_compute(instance, _compute(instance, profile, starts[0], 0, 0))
        fitting += 1
    return fitting


def create_compute_instance(
    silicon: Silicon,
    model: Model,
    index: int,
    serial: int,
    profile: ComputeProfile,
    *,
    start: int | None = None,
) -> tuple[Silicon, Place]:
    """Make a compute instance in a GPU instance, at ``start`` or the lowest free place."""
    _available(silicon, index)
    instance = _present(silicon.instance(index, serial))
    starts = compute_starts(model, instance, profile)
    if not starts or (start is not None and start not in starts):
        raise Returned(Code.INSUFFICIENT_RESOURCES)
    where = starts[0] if start is None else start
    mig_index = _lowest_free(place.compute.index for place in silicon.places(index))
    made = _compute(instance, profile, where, silicon.serial + 1, mig_index)
    changed = _with_compute(instance, made)
    after = replace(silicon, serial=made.serial).with_instance(index, changed)
    return after, Place(index, changed, made)


def destroy_compute_instance(silicon: Silicon, index: int, serial: int) -> Silicon:
    """Remove a compute instance that no CUDA client uses."""
    _available(silicon, index)
    place = _present(silicon.place(serial))
    if any(client.compute_serial == serial for client in silicon.clients):
        raise Returned(Code.IN_USE)
    left = tuple(one for one in place.instance.compute_instances if one.serial != serial)
    return silicon.with_instance(index, replace(place.instance, compute_instances=left))


def set_mig_mode(silicon: Silicon, index: int, *, on: bool) -> tuple[Silicon, Code]:
    """Ask for a mode. Clients keep it pending (In Use); so do instances when it goes off.

    That instances do is the simulator's choice: no transcript of that case has been seen.
    """
    gpu = silicon.gpus[index]
    if gpu.mig_mode != on and (silicon.clients_on(index) or gpu.instances):
        return silicon.with_gpu(index, replace(gpu, pending_mig_mode=on)), Code.IN_USE
    after = silicon.with_gpu(index, replace(gpu, mig_mode=on, pending_mig_mode=on))
    return after.with_event(index, MIG_CONFIG_CHANGE), Code.SUCCESS


def reset(silicon: Silicon, index: int) -> Silicon:
    """A GPU reset: it is back, the pending mode holds; instances, clients and holds are gone."""
    gpu = silicon.gpus[index]
    clients = tuple(client for client in silicon.clients if client.gpu != index)
    back = Gpu(mig_mode=gpu.pending_mig_mode, pending_mig_mode=gpu.pending_mig_mode)
    holds = tuple(hold for hold in silicon.holds if hold.gpu != index)
    return replace(silicon, clients=clients, holds=holds).with_gpu(index, back)


def _available(silicon: Silicon, index: int) -> Gpu:
    gpu = silicon.gpus[index]
    if gpu.trouble:
        raise Returned(gpu.trouble)
    if not gpu.mig_mode:
        raise Returned(Code.NOT_SUPPORTED)
    return gpu


def _present(found: _Found | None) -> _Found:
    """What a handle stood for, or the code for one whose instance went while the call waited."""
    if found is None:
        raise Returned(Code.INVALID_ARGUMENT)
    return found


def _profile_of(model: Model, instance: GpuInstance) -> Profile:
    return next(one for one in model.profiles if one.id == instance.profile_id)


def _compute(
    instance: GpuInstance, profile: ComputeProfile, start: int, serial: int, mig_index: int
) -> ComputeInstance:
    free_id = _lowest_free(one.id for one in instance.compute_instances)
    return ComputeInstance(serial, free_id, profile.id, start, profile.slices, mig_index)


def _with_compute(instance: GpuInstance, made: ComputeInstance) -> GpuInstance:
    return replace(instance, compute_instances=(*instance.compute_instances, made))


def _lowest_free(taken: Iterable[int]) -> int:
    used = set(taken)
    return next(number for number in count() if number not in used)
