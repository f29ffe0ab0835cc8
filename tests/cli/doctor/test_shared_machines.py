"""``jupyter mig doctor`` on nodes with a broker for all users: who is let in, tried as a user."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jupyter_mig.cli.doctor.finding import Finding, Level
from tests.broker.system.shared_node import ALICE, BOB, SharedNode, lacking
from tests.cli.doctor.manual import PAGE, isolated, shown
from tests.cli.doctor.shared_machines import (
    ROOT,
    SHARED_MACHINES,
    UNSHOWN,
    SharedMachine,
    findings,
    held,
    occupied,
    slice_nodes,
)

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking() or "-")


@pytest.fixture(scope="module")
def sound() -> Iterator[SharedNode]:
    """A node on which all is well, and Alice has a slice."""
    with occupied() as node:
        yield node


@pytest.fixture(scope="module")
def said(sound: SharedNode) -> dict[int, list[Finding]]:
    """What the doctor says there, by user."""
    return {uid: findings(sound, uid) for uid in (ROOT, ALICE, BOB)}


def about(found: list[Finding], subject: str) -> Finding:
    """The one finding about something."""
    (one,) = [each for each in found if each.about == subject]
    return one


def test_nothing_is_wrong_with_a_sound_node(said: dict[int, list[Finding]]) -> None:
    """Whoever asks; what only root sees is not passed over."""
    assert not [one for each in said.values() for one in each if one.level is Level.PROBLEM]
    assert "not looked at" in about(said[BOB], "helper").seen
    assert about(said[ROOT], "helper").level is Level.OK


def test_another_user_tries_and_is_refused(said: dict[int, list[Finding]]) -> None:
    """That is what makes it a boundary; root, whom nothing keeps out, tries as nobody. The manual
    shows it.
    """
    for uid, tries_as in ((BOB, BOB), (ROOT, 65534)):
        found = about(said[uid], "isolation")
        assert found.level is Level.OK
        assert found.seen.startswith(f"a boundary: user {tries_as} tried 2 nodes")
    assert isolated(said[BOB]) in PAGE.read_text(encoding="utf-8")


def test_who_can_try_nothing_says_so(said: dict[int, list[Finding]]) -> None:
    """All slices there are are Alice's: she cannot know whether others' are closed."""
    found = about(said[ALICE], "isolation")
    assert found.level is Level.NOTE
    assert found.seen.startswith("not tried")


def test_the_doctor_changes_nothing(sound: SharedNode, said: dict[int, list[Finding]]) -> None:
    """Not even root's, which looks at the same simulated hardware as the broker."""
    assert said
    nodes = slice_nodes(sound)
    before = [each.stat() for each in nodes]
    findings(sound, ROOT)
    assert [each.stat() for each in nodes] == before


@pytest.mark.parametrize("machine", SHARED_MACHINES + UNSHOWN, ids=lambda machine: machine.title)
def test_what_is_wrong_is_found_and_its_fix_is_told(
    machine: SharedMachine, said: dict[int, list[Finding]]
) -> None:
    """From the side of whoever asks, and the manual has the same words."""
    with machine.broken() as node:
        found = findings(node, machine.uid)
    wrong = [one for one in found if one.about == machine.about and one.level is machine.level]
    assert machine.seen in wrong[0].seen
    assert machine.fix in wrong[0].fix
    assert not [
        one for one in found if one.about == "isolation" and one.seen.startswith("a b")
    ] or (machine.about != "isolation")
    if machine in SHARED_MACHINES:
        assert shown(machine, found, said[machine.uid]) in PAGE.read_text(encoding="utf-8"), (
            "the manual shows something else: python -m tests.cli.doctor.manual"
        )


def test_the_last_users_node_is_not_the_next_ones(sound: SharedNode) -> None:
    """Bob takes a slice, too: each finds the other's closed."""
    with held(sound, BOB):
        for uid in (ALICE, BOB):
            found = about(findings(sound, uid), "isolation")
            assert found.level is Level.OK, found
