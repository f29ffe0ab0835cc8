"""Requests made together, served by the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.core import events, packing
from jupyter_mig.core.geometry import Geometry
from jupyter_mig.core.leases import LeaseState
from jupyter_mig.core.rules import Rules
from tests.core.nodes import A30, A100, GEOMETRIES
from tests.core.story import ALICE, BOB, Story, server
from tests.core.test_packing import unions_of_legal_mixes

TIGHT = ["3g.20gb", "2g.10gb", "1g.5gb", "1g.5gb"]


def together(story: Story, sizes: Sequence[str], prefix: str = "l", owner: int = ALICE) -> int:
    """Ask for all of them in one event; how many have an instance on its way."""
    asks = tuple(
        events.Ask(f"{prefix}{n}", f"{prefix}{n}", owner, server(owner), size, "", None)
        for n, size in enumerate(sizes)
    )
    story.happen(events.SlicesRequested(asks))
    return len(placed(story, prefix))


def placed(story: Story, prefix: str = "l") -> list[str]:
    """The leases of a batch that do not wait."""
    leases = story.ledger.state.leases.values()
    return [ls.lease_id for ls in leases if ls.lease_id[0] == prefix and ls.instance_id]


@given(unions_of_legal_mixes())
def test_what_fits_an_empty_node_is_had(node: tuple[list[Geometry], Counter[str]]) -> None:
    """Every mix that is a union of legal mixes of the GPUs is placed in full."""
    geometries, wanted = node
    story = Story(*geometries)
    assert together(story, sorted(wanted.elements())) == wanted.total()
    story.settle()
    assert all(story.state(f"l{n}") is LeaseState.GRANTED for n in range(wanted.total()))


@given(st.data(), st.sampled_from(sorted(GEOMETRIES)))
def test_a_plan_never_leaves_more_waiting(data: st.DataObject, model: str) -> None:
    """On a node that is partly held, at least as many are served as one by one, largest first."""
    geometry = GEOMETRIES[model]
    names = st.sampled_from(sorted(geometry.by_name))
    held = data.draw(st.lists(names, max_size=8))
    sizes = data.draw(st.lists(names, min_size=2, max_size=8))
    served = []
    for steps in (packing.MOST_STEPS, 0):
        story = Story(geometry, geometry)
        for number, size in enumerate(held):
            story.ask(f"h{number}", size, BOB)
        story.settle()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packing, "MOST_STEPS", steps)
            served.append(together(story, sizes))
    assert served[0] >= served[1]


@pytest.mark.parametrize("gpus", [2, 4, 8])
def test_tight_mixes_over_several_gpus(gpus: int) -> None:
    """Largest first, two 3g would go to one GPU and a slice be lost."""
    story = Story(*[A100] * gpus)
    assert together(story, TIGHT * gpus) == 4 * gpus


def test_room_kept_for_an_elder_is_left_alone() -> None:
    """A batch does not pass somebody who has waited too long."""
    story = Story(A100, A30)
    story.bound("b", "1g.5gb", BOB)
    story.ask("elder", "7g.40gb", BOB, None)
    story.wait(Rules().overtake + 1)
    assert together(story, ["1g.5gb", "1g.5gb", "1g.6gb"]) == 1


def test_existing_instances_are_taken_first() -> None:
    """Only what is missing has to be made."""
    story = Story(A100, A100, static={1: [("3g.20gb", 4), ("2g.10gb", 2), ("1g.5gb", 0)]})
    assert together(story, [*TIGHT, "3g.20gb", "2g.10gb", "1g.5gb"]) == 7


def test_a_batch_that_does_not_fit_is_served_in_part() -> None:
    """The largest first; the rest waits."""
    story = Story(A100)
    assert together(story, [*TIGHT, "7g.40gb"]) == 1
    assert placed(story) == ["l4"]


def test_sizes_that_are_not_here_are_refused_alone() -> None:
    """The others have their places."""
    story = Story(A100)
    assert together(story, ["9g.99gb", *TIGHT]) == 4


def test_the_effort_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch for eight GPUs is planned once, in a step for each; what is too much is not tried."""
    searches: list[int] = []

    class Counted(packing._Search):
        def run(self, left: packing.Counts) -> list[packing.Filling] | None:
            found = super().run(left)
            searches.append(len(self._failed))
            return found

    monkeypatch.setattr(packing, "_Search", Counted)
    story = Story(*[A100] * 8)
    assert together(story, TIGHT * 8) == 32
    assert together(story, ["1g.5gb"] * 128, "m") == 0
    assert searches == [8]
