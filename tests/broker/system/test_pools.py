"""Slices that a node's broker has ready before anybody asks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.broker.opening import CLOSED, NOTHING_BEHIND, opening
from tests.broker.system.shared_node import ALICE, BOB, SharedNode, lacking, shared_node
from tests.broker.system.test_system_broker import _ended, _held, _nodes


@pytest.fixture
def node() -> Iterator[SharedNode]:
    """A node that keeps one small slice ready."""
    if lacking():
        pytest.skip(lacking())
    with shared_node(pools={"1g.5gb": 1}) as one:
        one.start()
        yield one


def _until_ready(node: SharedNode, count: int) -> None:
    """Wait until so many slices are there that nobody has."""
    give_up_at = time.monotonic() + 60
    while True:
        seen = json.loads(node.asked(BOB, "status", "--json").stdout)
        states = [one["state"] for gpu in seen["node"]["gpus"] for one in gpu["instances"]]
        if states.count("idle") == count:
            return
        assert time.monotonic() < give_up_at, states


def test_what_is_ready_is_closed_to_everybody(node: SharedNode) -> None:
    """Until somebody is given it; then it is his alone, and another is made."""
    _until_ready(node, 1)
    before = _nodes(node)
    assert set(before.values()) == {0}
    assert {opening(path, uid) for path in before for uid in (ALICE, BOB)} == {CLOSED}
    alices = _held(node, ALICE)
    for path in before:
        assert (opening(path, ALICE), opening(path, BOB)) == (NOTHING_BEHIND, CLOSED)
    _until_ready(node, 1)
    assert len(_nodes(node)) == 2 * len(before)
    _ended(alices)
