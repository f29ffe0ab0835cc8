"""The sizes that people are offered."""

from __future__ import annotations

from jupyter_mig.kernels import choices
from tests.kernels.nodes import A100, RTX, node, ruled


def test_variants_are_left_out() -> None:
    """A plain user does not know what +me is, and it would crowd out what they know."""
    assert [each.name for each in choices.usual(node(*A100))] == [
        size for size in A100 if size != "1g.5gb+me"
    ]
    shown = [each.name for each in choices.usual(node(*reversed(RTX)))]
    assert shown == ["1g.24gb", "2g.48gb", "4g.96gb"]


def test_a_node_with_nothing_but_variants_shows_them() -> None:
    """As where an administrator has made one instance by hand."""
    assert [each.name for each in choices.usual(node("1g.5gb+me"))] == ["1g.5gb+me"]


def test_a_name_means_what_this_node_has_of_it() -> None:
    """And nothing where it has nothing: no entry leads to a refusal."""
    names = {"big": "4g.96gb", "any": "1gb+", "none": "100gb+"}
    found = choices.named(names, node(*RTX))
    assert [(each.name, each.request) for each in found] == [("big", "4g.96gb"), ("any", "1gb+")]


def test_a_name_means_what_a_rule_allows_of_it() -> None:
    """The smallest of those, or nothing."""
    names = {"big": "4g.96gb", "any": "1gb+"}
    (found,) = choices.named(names, ruled(node(*RTX), "2g.48gb"))
    assert (found.name, found.request) == ("any", "1gb+")
