"""What is shown of sizes to one with limits is what the ledger would do."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mig.core import actions, events
from jupyter_mig.core.allowance import Allowed, names_for, sizes_for
from jupyter_mig.core.leases import EndReason, LeaseState
from jupyter_mig.core.policy import Limits
from tests.core.nodes import A30, A100
from tests.core.story import ALICE, BOB, Story

NAMES = ("1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb", "1g.6gb")

limits = st.builds(
    Limits,
    rule=st.just("rule 1 (*)"),
    sizes=st.sampled_from([(), ("1g.5gb",), ("10gb+",), ("1g.5gb", "3g.20gb", "4g.20gb")]),
    slices=st.sampled_from([None, 0, 1, 2, 3]),
    share=st.sampled_from([None, 0.1, 0.25, 0.5, 1.0]),
)


def shown(story: Story, limit: Limits | None, owner: int = ALICE) -> dict[str, Allowed]:
    """Sizes by name."""
    found = sizes_for(story.ledger.state, story.rules, owner, limit)
    return {each.offer.name: each for each in found}


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Two GPUs, of which Alice and Bob hold something."""
    story = Story(A100, A30)
    for number, (size, owner) in enumerate(
        draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from((ALICE, BOB))), max_size=4))
    ):
        story.ask(f"held{number}", size, owner)
        story.settle()
    return story


@settings(deadline=None)
@given(stories(), limits, st.sampled_from(NAMES))
def test_what_is_shown_comes_true(story: Story, limit: Limits, size: str) -> None:
    """So many of a size as are free can be had; one more is refused, for the reason shown."""
    told = shown(story, limit)[size]
    for number in range(told.free):
        story.ask(f"wish{number}", size, limits=limit)
        story.settle()
        assert story.state(f"wish{number}") is LeaseState.GRANTED
    story.ask("more", size, limits=limit)
    reason = story.reason("more")
    assert reason is not None
    assert (reason is EndReason.NOT_ALLOWED) == told.never
    if not told.free and not told.never:
        assert (reason is EndReason.OVER_QUOTA) == told.over_quota


@settings(deadline=None)
@given(stories(), limits, st.sampled_from(NAMES), st.integers(0, 3))
def test_changes_of_size_within_limits(story: Story, limit: Limits, size: str, which: int) -> None:
    """A lease in place of which a size may be had is refused another for want of room alone."""
    told = shown(story, limit)[size]
    mine = [lease for lease in story.ledger.state.leases.values() if lease.owner == ALICE]
    for lease in mine[which : which + 1] if told.over_quota else ():
        said = story.happen(events.ResizeRequested(lease.lease_id, size, limit))
        refused = [each.reason for each in said if isinstance(each, actions.RefuseResize)]
        assert (EndReason.OVER_QUOTA in refused) == (lease.lease_id not in told.instead_of)


def test_without_limits_nothing_is_kept_back() -> None:
    """What is free is his, whatever he holds."""
    story = Story(A100)
    story.granted("a", "3g.20gb")
    told = shown(story, None)
    assert told["1g.5gb"].free == told["1g.5gb"].offer.free == 4
    assert not any(each.never or each.over_quota for each in told.values())


def test_one_of_one() -> None:
    """Who holds all he may have sees nothing free, and that he may change what he has."""
    story = Story(A100)
    one = Limits("r", sizes=("1g.5gb", "2g.10gb"), slices=1)
    assert shown(story, one)["1g.5gb"].free == 1
    story.granted("a", "1g.5gb", limits=one)
    told = shown(story, one)
    assert (told["2g.10gb"].free, told["2g.10gb"].offer.free) == (0, 3)
    assert told["2g.10gb"].instead_of == ("a",)
    assert names_for(story.ledger.state, story.rules, ALICE, one) == ["1g.5gb", "2g.10gb"]
    assert shown(story, one, BOB)["2g.10gb"].free == 1
