"""What one GPU can be cut into, as its driver reports it.

A *profile* occupies ``width`` neighbouring memory slices beginning at one of ``starts``; that is
all the geometry there is. How many slices a GPU has, what profiles are called and how much memory
they carry is data from NVML and differs by model, driver and board.
"""

from __future__ import annotations

from functools import cached_property

import msgspec

NO_GPU_INSTANCE = 0xFFFFFFFF
"""What NVML says in place of a GPU instance's id where there is none: on a GPU without MIG."""


class Engines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Media engines, counted. A GPU has a fixed stock that its instances share out."""

    decoder: int = 0
    encoder: int = 0
    jpeg: int = 0
    ofa: int = 0

    def __add__(self, other: Engines) -> Engines:
        return Engines(
            self.decoder + other.decoder,
            self.encoder + other.encoder,
            self.jpeg + other.jpeg,
            self.ofa + other.ofa,
        )

    def within(self, stock: Engines) -> bool:
        """Whether this many can be taken from ``stock``."""
        return (
            self.decoder <= stock.decoder
            and self.encoder <= stock.encoder
            and self.jpeg <= stock.jpeg
            and self.ofa <= stock.ofa
        )


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One GPU instance profile of one GPU model.

    ``profile_id`` is the id NVML uses everywhere except in ``GetGpuInstanceProfileInfo`` (that
    takes an enum). ``starts`` is empty where the reader has no privilege to learn placements.
    """

    profile_id: int
    name: str
    memory_bytes: int
    multiprocessors: int
    compute_slices: int
    max_count: int
    width: int = 0
    starts: tuple[int, ...] = ()
    engines: Engines = Engines()

    def window(self, start: int) -> int:
        """The memory slices taken when placed at ``start``, as a bit mask."""
        return ((1 << self.width) - 1) << start


class Geometry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """All profiles of one GPU model. ``dict=True`` is what lets the derived tables be cached."""

    profiles: tuple[Profile, ...] = ()

    @cached_property
    def by_id(self) -> dict[int, Profile]:
        """Profiles by NVML profile id."""
        return {profile.profile_id: profile for profile in self.profiles}

    @cached_property
    def by_name(self) -> dict[str, Profile]:
        """Profiles by the name the driver gives them."""
        return {profile.name: profile for profile in self.profiles}

    @cached_property
    def units(self) -> int:
        """The number of memory slices: 4 on A30, 8 on A100, 12 on RTX PRO 6000."""
        return max((s + p.width for p in self.profiles for s in p.starts), default=0)

    @cached_property
    def engines(self) -> Engines:
        """The stock of media engines: the whole-GPU profile has them all."""
        return Engines(
            max((p.engines.decoder for p in self.profiles), default=0),
            max((p.engines.encoder for p in self.profiles), default=0),
            max((p.engines.jpeg for p in self.profiles), default=0),
            max((p.engines.ofa for p in self.profiles), default=0),
        )

    @cached_property
    def shapes(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Distinct (width, starts). Profiles that differ only in media engines share a shape."""
        return tuple(sorted({(p.width, p.starts) for p in self.profiles if p.starts}))

    def window(self, spec: Spec) -> int | None:
        """The memory slices of an instance, or None where its profile or start is not known."""
        profile = self.by_id.get(spec.profile_id)
        return None if profile is None or spec.start is None else profile.window(spec.start)


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an instance is or shall be: what we plan with. Its live identity is another matter.

    ``start`` is None where an unprivileged reader may not learn it.
    """

    gpu_uuid: str
    profile_id: int
    start: int | None = None


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What NVML calls a live instance. MIG UUIDs are reused by the next tenant of the slot:
    never key anything by them.

    A GPU without MIG is handed out as one instance, which has NVML's numbers for "none" and the
    GPU's own UUID where others have that of a MIG device: what CUDA calls it.
    """

    gi_id: int
    ci_id: int | None = None
    mig_uuid: str | None = None

    @classmethod
    def of_gpu(cls, gpu_uuid: str) -> Identity:
        """That of a whole GPU."""
        return cls(NO_GPU_INSTANCE, NO_GPU_INSTANCE, gpu_uuid)

    @property
    def is_gpu(self) -> bool:
        """Whether it is a whole GPU, no MIG instance."""
        return self.gi_id == NO_GPU_INSTANCE

    @property
    def whole(self) -> bool:
        """Whether CUDA can use it: there is a compute instance and so a MIG device."""
        return self.ci_id is not None and self.mig_uuid is not None


class Gpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One GPU as discovered. ``minor`` numbers its capability files, ``index`` is NVML's."""

    uuid: str
    index: int
    name: str
    minor: int
    memory_bytes: int
    mig_enabled: bool
    geometry: Geometry = Geometry()


class Instance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One GPU instance as observed.

    ``identity.ci_id`` is None for a GPU instance without a compute instance (half made or half
    destroyed). ``occupants`` are the processes NVML lists on it, as pids; None if it cannot say.
    """

    spec: Spec
    identity: Identity
    profile_name: str
    memory_bytes: int
    occupants: tuple[int, ...] | None = ()
