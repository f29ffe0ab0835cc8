"""GPU models as data: what one kind of board offers under MIG.

The tables come from real driver listings where these were seen (``models.json``, made by
``tools/simulated_models.py``). Sizes and starts are in memory slices for GPU instances, in compute
slices for compute instances. A multiprocessor count of 0 is one that nobody has told; memory
nobody has told is what smaller profiles hold on as many slices (docs/decisions/0020).
"""

from __future__ import annotations

from functools import cache, cached_property
from importlib import resources

import msgspec
from msgspec.structs import replace

from .drivers import DRIVERS, NEWEST

COMPUTE_ENUM_BY_SLICES = {1: 0, 2: 1, 3: 2, 4: 3, 7: 4, 8: 5, 6: 6}
"""``NVML_COMPUTE_INSTANCE_PROFILE_n_SLICE``: the enum is neither the width nor the id."""

COMPUTE_ENUM_COUNT = 9
GPU_ENUM_COUNT = 0x12

_MIB_IDLE = 9
_MIB_IDLE_PER_FURTHER_SLICE = 8


class Engines(msgspec.Struct, frozen=True):
    """How many copy and media engines belong to an instance."""

    copy: int
    decoder: int
    encoder: int
    jpeg: int
    ofa: int

    @property
    def media(self) -> tuple[int, ...]:
        """The engines that are dealt out from one budget per GPU."""
        return (self.decoder, self.encoder, self.jpeg, self.ofa)


class ComputeProfile(msgspec.Struct, frozen=True):
    """One way to cut a compute instance out of a GPU instance.

    Multiprocessors of partial ones are derived from the width, save on A100 and in H200's 3g;
    0 where not even that can be done.
    """

    id: int
    slices: int
    multiprocessors: int
    max_count: int
    starts: tuple[int, ...]

    @property
    def enum(self) -> int:
        """The number ``nvmlGpuInstanceGetComputeInstanceProfileInfo`` takes."""
        return COMPUTE_ENUM_BY_SLICES[self.slices]


class Older(msgspec.Struct, frozen=True):
    """What drivers before the newest say of a profile, where it differs."""

    memory_mib: int | None = None
    name: str | None = None


class Profile(msgspec.Struct, frozen=True):
    """One GPU instance profile. ``id`` and ``enum`` are different numbers on purpose."""

    name: str
    id: int
    enum: int
    slices: int
    memory_mib: int
    multiprocessors: int
    max_count: int
    starts: tuple[int, ...]
    size: int
    engines: Engines
    compute_profiles: tuple[ComputeProfile, ...]
    older: Older = Older()

    def as_older(self) -> Profile:
        """The profile as an older driver tells it."""
        older = self.older
        return replace(
            self, name=older.name or self.name, memory_mib=older.memory_mib or self.memory_mib
        )

    @property
    def idle_mib(self) -> int:
        """Memory a fresh instance shows as used: 9, 17, 25 MiB seen on 1g, 2g, 3g (driver 590)."""
        return _MIB_IDLE + _MIB_IDLE_PER_FURTHER_SLICE * (self.slices - 1)

    @property
    def whole(self) -> ComputeProfile:
        """The compute profile that takes the whole GPU instance."""
        return max(self.compute_profiles, key=lambda compute: compute.slices)

    def compute_profile(self, compute_id: int) -> ComputeProfile | None:
        """The compute profile with this id, if the GPU instance offers it."""
        return next((one for one in self.compute_profiles if one.id == compute_id), None)


class Model(msgspec.Struct, frozen=True, dict=True):
    """One GPU model, named as NVML reports it without the leading "NVIDIA ".

    Times are H100's on newer boards; RTX PRO's are scaled from H100's. A PCI device id of 0 is not
    known. Power limits are the published ones, idle power is a plausible figure.
    """

    name: str
    architecture: str
    compute_capability: tuple[int, int]
    pci_device_id: int
    memory_mib: int
    memory_slices: int
    compute_slices: int
    mig_toggle_needs_reset: bool
    idle_power_milliwatts: int
    power_limit_milliwatts: int
    create_seconds: dict[int, float]
    destroy_seconds: dict[int, float]
    profiles: tuple[Profile, ...]
    first_driver: int
    """The oldest driver branch that knows the board, as far as it can be simulated."""
    gpm: bool
    """Whether it counts what its instances do (NVML's GPU performance metrics)."""

    @property
    def product_name(self) -> str:
        """What ``nvmlDeviceGetName`` says."""
        return f"NVIDIA {self.name}"

    @cached_property
    def media_budget(self) -> tuple[int, ...]:
        """Media engines of the whole GPU: those of its largest profiles."""
        return tuple(
            max(engines)
            for engines in zip(*(one.engines.media for one in self.profiles), strict=True)
        )

    @property
    def reserved_mib(self) -> int:
        """Memory no slice can have: the whole board less its largest profile."""
        return self.memory_mib - max(profile.memory_mib for profile in self.profiles)

    def profile(self, profile_id: int) -> Profile | None:
        """The profile with this id, if the GPU offers it."""
        return next((one for one in self.profiles if one.id == profile_id), None)

    def profile_by_enum(self, enum: int) -> Profile | None:
        """The profile with this enum, if the GPU offers it."""
        return next((one for one in self.profiles if one.enum == enum), None)

    def profile_by_name(self, name: str) -> Profile:
        """The profile of this name; KeyError names those there are."""
        by_name = {profile.name: profile for profile in self.profiles}
        if name not in by_name:
            raise KeyError(f"{self.name} has no profile {name}; it has {', '.join(by_name)}")
        return by_name[name]


@cache
def known_models(driver: str = NEWEST) -> dict[str, Model]:
    """All models that a driver knows, by name; boards that are cut alike are listed together."""
    table = msgspec.json.decode(resources.files(__package__).joinpath("models.json").read_bytes())
    models = (
        msgspec.convert({**family, **board}, Model, str_keys=True)
        for family in table
        for board in family["boards"]
    )
    return {
        model.name: model if driver == NEWEST else _as_older(model)
        for model in models
        if model.first_driver <= DRIVERS[driver].branch
    }


def _as_older(model: Model) -> Model:
    return replace(model, profiles=tuple(one.as_older() for one in model.profiles))
