"""Making and destroying one instance."""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_mig import errors
from jupyter_mig.core.geometry import Identity, Spec
from jupyter_mig.nvml import observation, raw
from jupyter_mig.nvml.facts import Device, GpuInstance, Placement
from jupyter_mig.nvml.observation import Compute
from jupyter_mig.nvml.patience import Patience


def create(device: Device, spec: Spec, patience: Patience) -> Identity:
    """Make a GPU instance at ``spec.start`` with one compute instance of its whole size.

    If that fails half-way, what was made is destroyed again, with ``patience``.
    """
    instance = raw.create_gpu_instance(device, spec.profile_id, _place(device, spec))
    try:
        return _furnish(device, instance)
    except errors.DriverError as error:
        _undo(device, instance, patience, error)
        raise


def destroy(device: Device, identity: Identity) -> None:
    """Destroy the compute instances and the GPU instance, in one attempt.

    Gone already is fine. Raises InUse, and NotFound where another instance has taken the id.
    """
    try:
        _take_down(device, identity)
    except (errors.NotFound, errors.InvalidArgument, errors.NotSupported):
        if _exists(device, identity.gi_id):
            raise
    else:
        _expect_gone(device, identity.gi_id)


def _place(device: Device, spec: Spec) -> Placement:
    places = raw.placements(device, spec.profile_id)
    for place in places:
        if place.start == spec.start:
            return place
    starts = ", ".join(str(place.start) for place in places)
    raise errors.InvalidArgument(
        f"Profile {spec.profile_id} cannot start at {spec.start}",
        situation=f"It can start at: {starts}",
        code=2,
        call="nvmlDeviceGetGpuInstancePossiblePlacements",
    )


def _furnish(device: Device, instance: GpuInstance) -> Identity:
    """Give a new GPU instance its compute instance: the widest on offer is the whole of it."""
    gi_id = raw.gpu_instance_info(instance).gi_id
    whole = max(raw.compute_profiles(instance), key=lambda profile: profile.compute_slices)
    handle = raw.create_compute_instance(instance, whole.profile_id)
    made = observation.compute(device, handle, gi_id)
    return Identity(gi_id, made.ci_id, made.mig_uuid)


def _undo(
    device: Device, instance: GpuInstance, patience: Patience, error: errors.DriverError
) -> None:
    """Destroy a half-made instance; if that fails too, ``error`` says that it was left there."""

    def attempt() -> None:
        gi_id = raw.gpu_instance_info(instance).gi_id
        for part in observation.computes(device, instance, gi_id):
            raw.destroy_compute_instance(part.handle)
        raw.destroy_gpu_instance(instance)

    try:
        patience.insist(attempt)
    except errors.DriverError as second:
        left = f"The half-made GPU instance was left there: {second.message}."
        error.situation = f"{error.situation}\n{left}"
        error.left_there = True


def _take_down(device: Device, identity: Identity) -> None:
    instance = raw.gpu_instance(device, identity.gi_id)
    parts = observation.computes(device, instance, identity.gi_id)
    _expect_same(identity, parts)
    for part in parts:
        raw.destroy_compute_instance(part.handle)
    raw.destroy_gpu_instance(instance)


def _expect_same(identity: Identity, parts: Sequence[Compute]) -> None:
    """Make sure that the compute instances there, if any, are those of the instance meant.

    A GPU instance without any may be it, too: one that was half destroyed before.
    """
    if not parts or identity.ci_id is None:
        return
    for part in parts:
        if part.ci_id == identity.ci_id and identity.mig_uuid in {None, part.mig_uuid}:
            return
    there = ", ".join(f"{part.ci_id} ({part.mig_uuid})" for part in parts)
    raise errors.NotFound(
        f"GPU instance {identity.gi_id} is another one by now; it was left alone",
        situation=f"Meant was compute instance {identity.ci_id} ({identity.mig_uuid}), "
        f"there is {there}.",
        next_step="Look at what is there: nvidia-smi mig -lci",
        code=6,
        call="nvmlDeviceGetGpuInstanceById",
    )


def _exists(device: Device, gi_id: int) -> bool:
    try:
        raw.gpu_instance(device, gi_id)
    except errors.NotFound:
        return False
    except errors.NotSupported:
        return raw.mig_enabled(device)
    return True


def _expect_gone(device: Device, gi_id: int) -> None:
    """Check what NVML said.

    Never destroy again on the strength of this check: the id may have a new owner.
    """
    if _exists(device, gi_id):
        raise errors.DriverError(
            f"GPU instance {gi_id} is there although NVML destroyed it",
            situation="NVML failed, or another program made a new one at once.",
            next_step="Look at what is there: nvidia-smi mig -lgi",
            call="nvmlGpuInstanceDestroy",
        )
