"""A node at work: its models, its state, and the time its operations take.

The sleep here is the physical world's. It happens while the GPU's lock is held, so operations on
one GPU follow one another, across threads and processes; those on two GPUs do not wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from . import partitioning
from .capability_tree import CapabilityTree
from .codes import Code, Returned
from .drivers import DRIVERS, NEWEST
from .faults import Met, meet
from .models import ComputeProfile, Profile, known_models
from .processes import is_alive
from .silicon import GpuInstance, Place, Silicon
from .storage import Storage

_Result = TypeVar("_Result")

GPU_INSTANCE_SHARE = 0.75
"""Part of a slice's published create or destroy time that is its GPU instance's.

Published times are of both instances together; the split is an assumption.
"""


class Machine:
    """The node's hardware. Operations raise ``Returned`` with NVML's code when refused."""

    def __init__(
        self, names: tuple[str, ...], storage: Storage, time_scale: float, driver: str = NEWEST
    ) -> None:
        self.names = names
        self.driver = DRIVERS[driver]
        self.models = tuple(known_models(driver)[name] for name in names)
        self.storage = storage
        self._time_scale = time_scale

    def state(self) -> Silicon:
        """The state now, without processes that are gone and holds that are over."""
        return _now(self.storage.read())

    def change(self, change: Callable[[Silicon], tuple[Silicon, _Result]]) -> _Result:
        """Change the state at once, seen without processes that are gone."""
        return self.storage.update(lambda now: _followed(*change(_now(now))))

    def lay_out(self) -> None:
        """Make the capability tree, if there is to be one, show what is there now."""
        self.change(lambda now: (now, None))

    def take_away(self) -> None:
        """Take the instances out of the capability tree: the node goes."""
        if root := self.storage.read().root:
            CapabilityTree(Path(root)).clear()

    def profile_of(self, gpu: int, instance: GpuInstance) -> Profile:
        """The profile a GPU instance was made from."""
        return next(one for one in self.models[gpu].profiles if one.id == instance.profile_id)

    def create_gpu_instance(
        self, gpu: int, profile: Profile, start: int | None = None
    ) -> GpuInstance:
        """Make a GPU instance; ``start`` None leaves the place to the driver."""
        model = self.models[gpu]
        return self._timed(
            gpu,
            model.create_seconds[profile.slices] * GPU_INSTANCE_SHARE,
            lambda now: partitioning.create_gpu_instance(now, model, gpu, profile, start),
        )

    def destroy_gpu_instance(self, gpu: int, instance: GpuInstance) -> None:
        """Remove a GPU instance."""
        slices = self.profile_of(gpu, instance).slices
        self._timed(
            gpu,
            self.models[gpu].destroy_seconds[slices] * GPU_INSTANCE_SHARE,
            lambda now: (partitioning.destroy_gpu_instance(now, gpu, instance.serial), None),
        )

    def create_compute_instance(
        self, gpu: int, instance: GpuInstance, profile: ComputeProfile, start: int | None = None
    ) -> Place:
        """Make a compute instance in a GPU instance."""
        model = self.models[gpu]
        slices = self.profile_of(gpu, instance).slices
        return self._timed(
            gpu,
            model.create_seconds[slices] * (1 - GPU_INSTANCE_SHARE),
            lambda now: partitioning.create_compute_instance(
                now, model, gpu, instance.serial, profile, start=start
            ),
        )

    def destroy_compute_instance(self, place: Place) -> None:
        """Remove a compute instance."""
        gpu, serial = place.gpu, place.compute.serial
        slices = self.profile_of(gpu, place.instance).slices
        self._timed(
            gpu,
            self.models[gpu].destroy_seconds[slices] * (1 - GPU_INSTANCE_SHARE),
            lambda now: (partitioning.destroy_compute_instance(now, gpu, serial), None),
        )

    def set_mig_mode(self, gpu: int, *, on: bool) -> Code:
        """Ask for a MIG mode; the code says whether it is active already."""
        with self.storage.gpu_lock(gpu):
            return self.change(lambda now: partitioning.set_mig_mode(now, gpu, on=on))

    def meet_faults(self, function: str, gpu: int | None, gpu_instance: int | None) -> None:
        """Let a call meet the faults set for it: lose time, or end with a code."""
        if not self.storage.read().faults:
            return
        met = self.storage.update(lambda now: _meet(now, function, gpu, gpu_instance))
        if met.seconds:
            time.sleep(met.seconds)
        if met.code != Code.SUCCESS:
            raise Returned(met.code)

    def _timed(
        self, gpu: int, seconds: float, change: Callable[[Silicon], tuple[Silicon, _Result]]
    ) -> _Result:
        """Refuse at once what cannot be, else take the time and do it."""
        with self.storage.gpu_lock(gpu):
            change(self.state())
            time.sleep(seconds * self._time_scale)
            return self.change(change)


def _followed(now: Silicon, result: _Result) -> tuple[Silicon, _Result]:
    """Let the capability tree follow a change, while the state is locked for it."""
    if now.root:
        CapabilityTree(Path(now.root), devices=now.devices).follow(now)
    return now, result


def _now(silicon: Silicon) -> Silicon:
    return silicon.with_processes(is_alive).at(time.monotonic())


def _meet(
    now: Silicon, function: str, gpu: int | None, gpu_instance: int | None
) -> tuple[Silicon, Met]:
    met = meet(now.faults, lambda fault: fault.meets(function, gpu, gpu_instance))
    return (now if met.left == now.faults else replace(now, faults=met.left)), met
