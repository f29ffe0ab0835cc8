"""Where GPU instances can go, as the driver decides it: windows, limits, default placement, ids.

Pure functions of a model and the state of one GPU.
"""

from __future__ import annotations

from .models import Model, Profile
from .silicon import Gpu


def window(profile: Profile, start: int) -> frozenset[int]:
    """The memory slices an instance of the profile takes at ``start``."""
    return frozenset(range(start, start + profile.size))


def free_starts(profile: Profile, occupied: frozenset[int]) -> list[int]:
    """Starts at which the profile's window is free, whatever the other limits say."""
    return [start for start in profile.starts if not window(profile, start) & occupied]


def creatable_starts(model: Model, gpu: Gpu, profile: Profile) -> list[int]:
    """Starts at which one more instance of the profile can be made now."""
    return free_starts(profile, gpu.occupied) if _allowance(model, gpu, profile) else []


def remaining_capacity(model: Model, gpu: Gpu, profile: Profile) -> int:
    """How many more instances of this profile fit, if nothing else is made."""
    taken, fitting = set(gpu.occupied), 0
    for start in sorted(profile.starts):
        if not window(profile, start) & taken:
            taken |= window(profile, start)
            fitting += 1
    return min(fitting, _allowance(model, gpu, profile))


def default_start(model: Model, gpu: Gpu, profile: Profile) -> int | None:
    """Where the driver puts an instance by itself: so that most stays possible, lowest first."""
    starts = creatable_starts(model, gpu, profile)
    return max(
        starts, key=lambda start: (_left_by(model, gpu, profile, start), -start), default=None
    )


def gpu_instance_id(model: Model, profile: Profile, start: int, *, mirrored: bool) -> int:
    """The id of an instance there: numbered as in a heap over the memory slices.

    The whole GPU is 0, its halves 1 and 2, quarters 3-6, eighths 7-14. On mirrored dies the
    halves change places, so an id does not tell a placement.
    """
    parts = model.memory_slices // profile.size
    if mirrored:
        start = (start + model.memory_slices // 2) % model.memory_slices
    return parts - 1 + (start // profile.size if parts > 1 else 0)


def _left_by(model: Model, gpu: Gpu, profile: Profile, start: int) -> int:
    """(profile, start) pairs still free after placing the profile at ``start``."""
    occupied = gpu.occupied | window(profile, start)
    return sum(len(free_starts(other, occupied)) for other in model.profiles)


def _allowance(model: Model, gpu: Gpu, profile: Profile) -> int:
    """How many more the limits other than windows allow.

    Those are the profile's own count, compute slices, and media engines: the last is why at most
    one ``+me`` exists and ``+me.all`` excludes all that have media. The driver's limit of eight
    instances never binds: no board has more than eight compute slices.
    """
    present = [model.profile(one.profile_id) for one in gpu.instances]
    others = [one for one in present if one is not None]
    compute = model.compute_slices - sum(one.slices for one in others)
    return min(
        profile.max_count - sum(one.id == profile.id for one in others),
        compute // profile.slices,
        *_media_allowance(model, others, profile),
    )


def _media_allowance(model: Model, present: list[Profile], profile: Profile) -> list[int]:
    used = [sum(engines) for engines in zip(*(one.engines.media for one in present), strict=True)]
    left = [
        budget - taken for budget, taken in zip(model.media_budget, used or [0] * 4, strict=True)
    ]
    return [have // need for have, need in zip(left, profile.engines.media, strict=True) if need]
