"""``jupyter mig doctor`` where a broker hands a GPU out whole: tried as one whose it is not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from jupyter_mig.cli.doctor.finding import Finding, Level
from tests.broker.system.shared_node import ALICE, BOB, lacking
from tests.broker.system.test_intruder import OPENS, Stash
from tests.broker.system.test_system_broker import _ended, _held
from tests.broker.system.test_whole_gpus import _openable
from tests.broker.system.whole_node import WHOLE, WholeNode, whole_node
from tests.cli.doctor.manual import PAGE
from tests.cli.doctor.shared_machines import ROOT, findings

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking() or "-")


@pytest.fixture
def node() -> Iterator[WholeNode]:
    """One whose GPU Alice has."""
    with whole_node() as made:
        made.start()
        held = _held(made, ALICE, WHOLE)
        yield made
        _ended(held)


def _about(node: WholeNode, uid: int) -> list[Finding]:
    return [each for each in findings(node, uid) if each.about == "whole GPUs"]


def test_others_try_and_are_refused(node: WholeNode) -> None:
    """That is what makes it a boundary; Alice herself has nothing to try."""
    for uid, tries_as in ((BOB, BOB), (ROOT, 65534)):
        (found,) = _about(node, uid)
        assert found.level is Level.OK
        assert found.seen.startswith(f"a boundary: user {tries_as} tried 1 node")
    assert _about(node, ALICE) == []
    said = findings(node, ROOT)
    assert not [each for each in said if each.level is Level.PROBLEM], said


def _opened(node: WholeNode) -> None:
    node.node.chmod(0o666)


def _in_a_group(node: WholeNode) -> None:
    os.chown(node.node, -1, 12)


def _loaded_anew(node: WholeNode) -> None:
    node.say(1)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (_opened, "could open /dev/nvidia0"),
        (_in_a_group, "others than owner and broker are let in: /dev/nvidia0"),
        (_loaded_anew, "NVreg_ModifyDeviceFiles is 1: any user can have nvidia-modprobe open"),
    ],
)
def test_what_is_wrong_is_found(
    node: WholeNode, change: Callable[[WholeNode], None], seen: str
) -> None:
    """By whoever asks, and no boundary is spoken of."""
    for _ in range(5):  # the broker may have mended it meanwhile
        change(node)
        (found,) = _about(node, BOB)
        if found.level is Level.PROBLEM:
            break
    assert found.level is Level.PROBLEM
    assert seen in found.seen
    assert "a boundary" not in found.seen
    words = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert " ".join(seen.split()) in words


def test_who_has_it_open_from_before_is_named(node: WholeNode) -> None:
    """To root. The broker, and root's monitors, have every GPU open."""
    _openable(node.node)
    link = node.directory / "link"
    os.mknod(link, node.node.stat().st_mode, OPENS)
    link.chmod(0o666)
    stash = Stash(link)
    stash.says("take it")
    with node.node.open("rb"), subprocess.Popen(["cat"], stdin=subprocess.PIPE) as roots:
        found = [each for each in findings(node, ROOT) if each.about == "open descriptors"]
        roots.communicate()
    assert [f"of user {BOB} has /dev/nvidia0 open" in each.seen for each in found] == [True]
    stash.process.communicate()
