"""What is taken on one GPU: memory slices, media engines, and how many of each profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from jupyter_mig.core.geometry import Engines, Geometry, Profile, Spec


class Occupancy:
    """A mutable tally. ``mask`` has a bit for each memory slice taken."""

    def __init__(self, geometry: Geometry, specs: Iterable[Spec] = ()) -> None:
        self.geometry = geometry
        self.mask = 0
        self.counts: Counter[int] = Counter()
        self.engines = Engines()
        for spec in specs:
            self.add(spec)

    def add(self, spec: Spec) -> None:
        """Count an instance in. One whose window is unknown takes the whole GPU, to be safe."""
        window = self.geometry.window(spec)
        if window is None:
            self.block((1 << self.geometry.units) - 1)
            return
        profile = self.geometry.by_id[spec.profile_id]
        self.block(window)
        self.counts[profile.profile_id] += 1
        self.engines += profile.engines

    def block(self, mask: int) -> None:
        """Take memory slices for another reason than an instance."""
        self.mask |= mask

    def within_limits(self, profile: Profile) -> bool:
        """Whether another of this profile is allowed at all: its own limit (one ``+me`` a GPU)
        and the stock of media engines.
        """
        return self.counts[profile.profile_id] < profile.max_count and (
            self.engines + profile.engines
        ).within(self.geometry.engines)

    def fits(self, profile: Profile, start: int) -> bool:
        """Whether the profile can be placed at ``start``."""
        return not self.mask & profile.window(start) and self.within_limits(profile)

    def room(self, profile: Profile) -> int:
        """How many more of this profile fit. Windows of one profile are equally wide, so taking
        the lowest free one each time is exact.
        """
        trial = self.copy()
        for start in profile.starts:
            if trial.fits(profile, start):
                trial.add(Spec("", profile.profile_id, start))
        return trial.counts[profile.profile_id] - self.counts[profile.profile_id]

    def copy(self) -> Occupancy:
        """An independent tally with the same contents."""
        twin = Occupancy(self.geometry)
        twin.mask, twin.counts, twin.engines = self.mask, self.counts.copy(), self.engines
        return twin

    @property
    def slices_in_use(self) -> int:
        """The number of memory slices taken."""
        return self.mask.bit_count()
