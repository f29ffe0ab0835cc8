"""Choices: where something shall be, once that was decided.

The rule of placement may be another in the next version, and what was done by the old one stays
done. So a choice is remembered with the event that led to it, and a replay takes it as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from jupyter_mig.core.geometry import Spec
from jupyter_mig.core.placement import Candidate, choose


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place chosen for a lease: for its instance, or for room that is kept for it."""

    lease_id: str
    spec: Spec


class Choices:
    """Those of one turn. ``made`` are all that were taken, in order."""

    def __init__(self, given: Iterable[Choice] = ()) -> None:
        self._given = list(given)
        self.made: list[Choice] = []

    def __bool__(self) -> bool:
        """Whether anything was decided already."""
        return bool(self._given)

    def give(self, choice: Choice) -> None:
        """Decide something before it is asked for."""
        self._given.append(choice)

    def take(self, lease_id: str, candidates: Iterable[Candidate]) -> Spec | None:
        """The place for a lease: as decided if that is still possible, else by the rule; None when
        nothing fits.
        """
        possible = tuple(candidates)
        spec = self._decided(lease_id, possible) or choose(possible)
        if spec is not None:
            self.made.append(Choice(lease_id, spec))
        return spec

    def _decided(self, lease_id: str, possible: Sequence[Candidate]) -> Spec | None:
        for choice in self._given:
            if choice.lease_id == lease_id and any(_fits(choice.spec, one) for one in possible):
                self._given.remove(choice)
                return choice.spec
        return None


def _fits(spec: Spec, candidate: Candidate) -> bool:
    return (
        (spec.gpu_uuid, spec.profile_id) == (candidate.gpu_uuid, candidate.profile.profile_id)
        and spec.start in candidate.profile.starts
        and candidate.occupancy.fits(candidate.profile, spec.start)
    )
