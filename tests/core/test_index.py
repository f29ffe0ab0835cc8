from __future__ import annotations

import pytest

from jupyter_mig.core.check import BrokenInvariant
from tests.core.nodes import A100
from tests.core.story import Story


def test_a_stale_index_is_found() -> None:
    """Whoever changes the state behind the index's back breaks an invariant."""
    story = Story(A100)
    story.granted("a", "1g.5gb")
    story.ledger.check()
    story.ledger.state.instances.clear()
    story.ledger.state.leases.clear()
    with pytest.raises(BrokenInvariant, match="stale"):
        story.ledger.check()


def test_it_is_no_part_of_a_snapshot() -> None:
    """The state reads the same whether it was asked for or not, and it is made again."""
    story = Story(A100)
    story.granted("a", "1g.5gb")
    snapshot = story.ledger.snapshot()
    restored = type(story.ledger).restore(snapshot)
    assert restored.snapshot() == snapshot
    assert restored.state.index == story.ledger.state.index
    assert restored.snapshot() == snapshot


def test_gpus_are_alike_while_the_same_is_taken() -> None:
    """Two empty ones are, and two full ones; one of each are not."""
    story = Story(A100, A100)
    assert _alike(story) == [["GPU-0", "GPU-1"]]
    story.granted("a", "7g.40gb")
    assert _alike(story) == [["GPU-0"], ["GPU-1"]]
    story.granted("b", "7g.40gb")
    assert _alike(story) == [["GPU-0", "GPU-1"]]


def test_gpus_that_are_alike_are_in_their_order() -> None:
    """Whichever was given back last, the first of them is the first there is."""
    story = Story(A100, A100, A100)
    for kernel in "abc":
        story.granted(kernel, "7g.40gb")
    for kernel in "cab":
        story.release(kernel)
        story.settle()
    state = story.ledger.state
    ((_, alike),) = state.index.alike(state.gpus)
    assert alike == ["GPU-0", "GPU-1", "GPU-2"]


def _alike(story: Story) -> list[list[str]]:
    state = story.ledger.state
    return sorted(sorted(uuids) for _, uuids in state.index.alike(state.gpus))
