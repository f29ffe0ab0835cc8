"""Another version's rule of placement, for logs that are replayed after an upgrade."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from jupyter_mig.core import choices, packing
from jupyter_mig.core.geometry import Spec
from jupyter_mig.core.placement import Candidate


def first_fit(candidates: Iterable[Candidate]) -> Spec | None:
    """The first GPU with room, and there the first start: as a rule, not where ours goes."""
    for one in sorted(candidates, key=lambda one: one.gpu_index):
        for start in one.profile.starts:
            if one.occupancy.fits(one.profile, start):
                return Spec(one.gpu_uuid, one.profile.profile_id, start)
    return None


@contextmanager
def another_rule() -> Iterator[None]:
    """Places are chosen differently, and batches are not packed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choices, "choose", first_fit)
        patch.setattr(packing, "MOST_STEPS", 0)
        yield
