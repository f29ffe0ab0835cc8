"""Quotas as real users of a node meet them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.broker.system.shared_node import ALICE, BOB, CAROL, SharedNode, lacking, shared_node

GROUP, STUDENT = "mig-students", "mig-alice"
POLICY = [
    {"who": [f"@{GROUP}"], "sizes": ["1g.5gb", "2g.10gb"], "slices": 1, "lifetime_seconds": 3600},
    {"who": ["*"], "share": 0.5},
]


@pytest.fixture
def student() -> Iterator[None]:
    """User ALICE has an account, and is in a group."""
    if lacking():
        pytest.skip(lacking())
    _done("groupadd", GROUP)
    try:
        _done("useradd", "--no-create-home", "--uid", f"{ALICE}", "--groups", GROUP, STUDENT)
        try:
            yield
        finally:
            _done("userdel", STUDENT)
    finally:
        _done("groupdel", GROUP)


@pytest.fixture
def node(student: None) -> Iterator[SharedNode]:
    """A node with rules, whose broker runs."""
    with shared_node(policy=POLICY, admins=[f"@{GROUP}"]) as one:
        one.start()
        yield one


def _done(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _holding(node: SharedNode, uid: int, size: str, *more: str) -> subprocess.Popen[bytes]:
    """A command of that user's that says when it has its slice, and holds it until told to end."""
    command = ("run", "--size", size, *more, "--", "sh", "-c", "echo here; exec cat")
    pipe = subprocess.PIPE
    return node.spawn(uid, *command, stdin=pipe, stdout=pipe, stderr=pipe)


def _here(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.communicate(timeout=60)
    assert process.returncode == 0


def _refused(node: SharedNode, uid: int, size: str) -> str:
    """What a user is told who would not wait."""
    done = node.asked(uid, "run", "--size", size, "--patience", "0", "--", "true")
    assert done.returncode != 0
    return done.stderr.decode()


def _leases(node: SharedNode, uid: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(node.asked(uid, "leases", "--json").stdout)
    return found


def test_a_quota_is_seen_and_touches_nobody_else(node: SharedNode) -> None:
    """One slice for students: the second is refused and the rule named; others have theirs."""
    first = _holding(node, ALICE, "1g.5gb")
    _here(first)
    told = _refused(node, ALICE, "1g.5gb")
    assert "You hold as much as you may have" in told
    assert f"You hold 1 slice, 0.125 of a GPU. Rule 1 (@{GROUP})" in told
    assert "administrator (root) can change" in told
    others = [_holding(node, uid, "1g.5gb") for uid in (BOB, CAROL)]
    for each in others:
        _here(each)
    for each in (first, *others):
        _ended(each)


def test_sizes_that_are_not_allowed(node: SharedNode) -> None:
    """Refused at once, however long one would wait; to others they are allowed."""
    done = node.asked(ALICE, "run", "--size", "3g.20gb", "--", "true")
    assert done.returncode != 0
    assert b"You may not have 3g.20gb slices" in done.stderr
    assert b"sizes 1g.5gb and 2g.10gb" in done.stderr
    assert node.asked(BOB, "run", "--size", "3g.20gb", "--", "true").returncode == 0


def test_over_quota_waits_until_one_ends(node: SharedNode) -> None:
    """The line says why; whoever comes later passes; then it is granted."""
    first = _holding(node, BOB, "3g.20gb")
    _here(first)
    second = _holding(node, BOB, "3g.20gb", "--patience", "300")
    assert second.stderr is not None
    while b"waits" not in (said := second.stderr.readline()):
        assert said, "it was not made to wait"
    waiting = [each for each in _leases(node, BOB) if each["state"] == "waiting"]
    assert "Rule 2 (*): at most 0.5 of a GPU in all" in waiting[0]["over_quota"]
    assert b"until one of yours ends" in node.asked(BOB, "leases").stdout
    assert node.asked(CAROL, "run", "--size", "3g.20gb", "--", "true").returncode == 0
    _ended(first)
    _here(second)
    _ended(second)


def _told(node: SharedNode, uid: int, *arguments: str) -> str:
    """What a command told that user, on one line."""
    return " ".join(node.asked(uid, *arguments).stdout.decode().split())


def test_sizes_and_plans_are_those_of_who_asks(node: SharedNode) -> None:
    """Only what his rule allows is on offer to a student, and nothing once he holds his one; the
    rule is named. Others see the node as it is.
    """
    offered = _told(node, ALICE, "sizes")
    assert f"Rule 1 (@{GROUP}): sizes 1g.5gb and 2g.10gb; at most 1 slice" in offered
    assert "Not allowed to you: 1g.5gb+me, 1g.10gb, 3g.20gb, 4g.20gb, 7g.40gb." in offered
    assert "Even with nobody on the node" in _told(node, ALICE, "plan", "2x1g.5gb")
    assert b"You may not have 3g.20gb" in node.asked(ALICE, "plan", "3g.20gb").stderr
    first = _holding(node, ALICE, "1g.5gb")
    _here(first)
    assert "You hold 1 of 1 slices allowed: give one back" in _told(node, ALICE, "sizes")
    sizes = {each["size"]: each for each in json.loads(_told(node, ALICE, "sizes", "--json"))}
    assert (sizes["2g.10gb"]["free"], sizes["2g.10gb"]["unclaimed"]) == (0, 3)
    assert "Rule 1" in _told(node, ALICE, "plan", "1g.5gb")
    (lease,) = _leases(node, ALICE)
    assert 3500 < lease["ends_in_seconds"] <= 3600
    assert "It fits now." in _told(node, BOB, "plan", "3g.20gb")
    _ended(first)


@pytest.mark.skipif(bool(lacking()), reason=lacking())
def test_each_limit_of_a_rule_in_the_file_holds() -> None:
    """Sizes, slices, share, how long one waits, and how long one holds: the ledger has them all,
    whatever the user would have patience for.
    """
    rule = {"who": ["*"], "sizes": ["1g.5gb", "3g.20gb"], "slices": 2, "share": 0.5}
    with shared_node(policy=[{**rule, "wait_seconds": 0, "lifetime_seconds": 3600}]) as node:
        node.start()
        patient = ("--patience", "300", "--", "true")
        sizes = node.asked(BOB, "run", "--size", "2g.10gb", *patient)
        assert b"You may not have 2g.10gb slices" in sizes.stderr
        small = [_holding(node, BOB, "1g.5gb") for _ in range(2)]
        large = _holding(node, CAROL, "3g.20gb")
        for each in (*small, large):
            _here(each)
        (lease,) = _leases(node, CAROL)
        assert 3500 < lease["ends_in_seconds"] <= 3600
        for uid, held in ((BOB, "2 slices, 0.25"), (CAROL, "1 slice, 0.5")):
            more = node.asked(uid, "run", "--size", "1g.5gb", *patient)
            assert f"You hold {held} of a GPU".encode() in more.stderr
        for each in (*small, large):
            _ended(each)
