"""Which lease ``jupyter mig release`` means, and what it says."""

from __future__ import annotations

import pytest

from jupyter_mig.cli.release import find, sentence
from jupyter_mig.errors import BadRequest, UnknownLease
from tests.cli.views import lease

FIRST = lease("5e2c91a0d3f8", "work/train.ipynb", uuid="MIG-3f2a91c0-1", kernel_pid=4711)
SECOND = lease("5e2c91b1aaaa", "eval.ipynb", uuid="MIG-77aa91c0-2")
WAITING = lease("99999999", "sweep.ipynb", "waiting", size="7g.40gb")
ALL = [FIRST, SECOND, WAITING]


@pytest.mark.parametrize(
    "text",
    [
        "5e2c91a0d3f8",
        "5e2c91a0…",
        "5e2c91a0..",
        "MIG-3f2a91c0-1",
        "MIG-3f2…",
        "work/train.ipynb",
        "train.ipynb",
        "train",
    ],
)
def test_a_lease_is_found_by_whatever_we_show(text: str) -> None:
    """Its id or MIG UUID, also cut short, and the notebook as any page writes it."""
    assert find(text, ALL) is FIRST


@pytest.mark.parametrize("text", ["", "…", "5e2c", "MIG-", "nobody.ipynb", "ipynb"])
def test_too_little_finds_nothing(text: str) -> None:
    """Four characters are no id; the error lists what there is."""
    with pytest.raises(UnknownLease) as raised:
        find(text, ALL)
    assert "5e2c91a0d3f8" in raised.value.situation


def test_two_that_match_are_a_question_of_usage() -> None:
    """Nothing is released by guess."""
    with pytest.raises(BadRequest) as raised:
        find("5e2c91", ALL)
    assert "train.ipynb" in raised.value.situation
    assert "eval.ipynb" in raised.value.situation
    assert "sweep.ipynb" not in raised.value.situation


def test_nothing_held_is_said() -> None:
    """An empty list of what there is would look like a mistake of ours."""
    with pytest.raises(UnknownLease, match="You hold no slice"):
        find("train", [])


def test_what_was_done_is_told() -> None:
    """The slice, what it was used for, and what that means for the kernel."""
    after = lease("5e2c91a0d3f8", "work/train.ipynb", "draining")
    assert sentence(FIRST, after) == (
        "Released 1g.5gb on GPU 0 of work/train.ipynb, held 41 min.\n"
        "It is free as soon as nobody uses it any more.\n"
        "Its kernel (pid 4711) is ended."
    )


def test_a_request_is_taken_back() -> None:
    """A waiting lease has no slice to release."""
    assert sentence(WAITING, WAITING) == "Took back the request of sweep.ipynb for 7g.40gb."
