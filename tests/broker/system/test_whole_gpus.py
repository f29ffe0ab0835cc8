"""A GPU handed out whole on a node with a broker for all users: real users and device nodes."""

from __future__ import annotations

import grp
import json
import os
import pwd
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broker.opening import CLOSED, NOTHING_BEHIND, opening
from tests.broker.system.shared_node import ALICE, BOB, CAROL, PATIENCE_SECONDS, lacking
from tests.broker.system.test_intruder import OPENS, Stash, _met, _told
from tests.broker.system.test_system_broker import _ended, _held, _leases, _nodes
from tests.broker.system.whole_node import ACCOUNT, SLICE, WHOLE, WholeNode, whole_node

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking() or "-")


@pytest.fixture
def node() -> Iterator[WholeNode]:
    """One whose broker runs."""
    with whole_node() as made:
        made.start()
        yield made


def _state(node: WholeNode) -> tuple[int, str, int]:
    now = node.node.stat()
    return now.st_uid, grp.getgrgid(now.st_gid).gr_name, stat.S_IMODE(now.st_mode)


def _becomes(node: WholeNode, uid: int) -> None:
    """Wait until the GPU is that user's and the broker's, or, with 0, the broker's alone."""
    _until(node, lambda: _state(node) == (uid, ACCOUNT, 0o660))


def _until(node: WholeNode, condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at, (node.said(), _state(node))
        time.sleep(0.02)


def _gpu(node: WholeNode) -> dict[str, Any]:
    """The GPU, as users see it."""
    gpus = json.loads(node.asked(CAROL, "status", "--json").stdout)["node"]["gpus"]
    (found,) = (each for each in gpus if each["uuid"] == node.given)
    return dict(found)


def test_it_is_one_users_and_between_leases_nobodys(node: WholeNode) -> None:
    """The broker, which measures through it, has it all the time; it is read and written."""
    service = pwd.getpwnam(ACCOUNT)
    assert _state(node) == (0, ACCOUNT, 0o660)
    assert [opening(node.node, uid) for uid in (ALICE, BOB)] == [CLOSED, CLOSED]
    for mine, others in ((ALICE, BOB), (BOB, ALICE)):
        held = _held(node, mine, WHOLE)
        assert _state(node) == (mine, ACCOUNT, 0o660)
        assert opening(node.node, service.pw_uid, service.pw_gid) == NOTHING_BEHIND
        assert [opening(node.node, uid) for uid in (mine, others)] == [NOTHING_BEHIND, CLOSED]
        _ended(held)
        _becomes(node, 0)


def test_slices_of_other_gpus_are_as_ever(node: WholeNode) -> None:
    """Whoever has one opens the node of its GPU, which stays everybody's."""
    whole = _held(node, ALICE, WHOLE)
    part = _held(node, BOB, SLICE)
    assert [opening(node.other, uid) for uid in (ALICE, BOB)] == [NOTHING_BEHIND] * 2
    assert set(_nodes(node).values()) == {BOB}
    assert opening(node.node, BOB) == CLOSED
    _ended(part)
    _ended(whole)


def test_while_the_drivers_tool_may_open_it_nobody_gets_it() -> None:
    """Who asks is told what an administrator must do; slices are had; the node is left as it is."""
    with whole_node() as node:
        node.say(1)
        node.start()
        refused = node.asked(ALICE, "run", "--size", WHOLE, "--", "true")
        assert refused.returncode != 0
        assert b"GPU 1: The GPU cannot be closed to other users" in refused.stderr
        found = _gpu(node)
        assert found["problem"].startswith("The GPU cannot be closed to other users")
        assert "NVreg_ModifyDeviceFiles=0" in found["next_step"]
        assert stat.S_IMODE(node.node.stat().st_mode) == 0o666
        _ended(_held(node, BOB, SLICE))
        assert "ModifyDeviceFiles is 1" in node.said()
        node.stop()
        node.say(0)
        node.start()
        _ended(_held(node, ALICE, WHOLE))


def test_what_becomes_of_it_while_it_is_held_is_noticed(node: WholeNode) -> None:
    """Opened by hand it is closed again, and told; with the driver loaded anew, as any user could
    have it opened then, nobody new gets it. Who has it keeps it.
    """
    held = _held(node, ALICE, WHOLE)
    node.node.chmod(0o666)
    with _somebody_waits(node):
        _becomes(node, ALICE)
        assert f"Changed gpu={node.given} uid={ALICE}" in node.said()
        node.say(1)
        node.node.chmod(0o666)
        _until(node, lambda: "NVreg_ModifyDeviceFiles=0" in _gpu(node)["next_step"])
    assert [each["state"] for each in _leases(node, ALICE)] == ["bound"]
    _ended(held)


class _somebody_waits:  # noqa: N801 - a context
    """Then the broker looks every two seconds."""

    def __init__(self, node: WholeNode) -> None:
        self.node = node

    def __enter__(self) -> None:
        self.process = self.node.spawn(
            CAROL, "run", "--size", WHOLE, "--", "cat", stdin=subprocess.PIPE
        )

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("ends", ["afterwards", "meanwhile"])
def test_killed_and_restarted_it_is_whose_it_was(node: WholeNode, ends: str) -> None:
    """Both processes killed hard. Who ended while nobody looked has it no more."""
    held = _held(node, ALICE, WHOLE)
    for pid in node.processes():
        os.kill(pid, signal.SIGKILL)
    node.stop(signal.SIGKILL)
    assert _state(node) == (ALICE, ACCOUNT, 0o660)
    if ends == "meanwhile":
        held.communicate(timeout=PATIENCE_SECONDS)
    node.socket.unlink()
    node.start()
    if ends == "afterwards":
        assert _state(node) == (ALICE, ACCOUNT, 0o660)
        _ended(held)
    _becomes(node, 0)
    _ended(_held(node, BOB, WHOLE))


def test_who_comes_back_to_it_is_told_of(node: WholeNode) -> None:
    """He had it open while it was his, and hid that where nobody sees it. He may have been sent it,
    so he is not ended before he computes.
    """
    bobs = _held(node, BOB, WHOLE)
    _openable(node.node)
    stash = Stash(node.node)
    _ended(bobs)
    alices = _held(node, ALICE, WHOLE)
    (lease,) = _leases(node, ALICE)
    assert stash.says("take it") == "here\n"
    with _somebody_waits(node):
        told = _told(node)
    assert told.startswith(f"pid={stash.process.pid} uid={BOB} lease={lease['lease_id']}"), told
    (entry,) = _met(node)
    assert (entry["uid"], entry["by_uid"]) == (ALICE, None)
    assert f"uid {BOB} has it open" in entry["reason"]
    assert stash.says("well?") == "here\n"
    stash.process.communicate(timeout=PATIENCE_SECONDS)
    _ended(alices)


def _openable(path: Path) -> None:
    """The node as one that opens; everything else about it stays."""
    before = path.stat()
    path.unlink()
    os.mknod(path, before.st_mode, OPENS)
    os.chown(path, before.st_uid, before.st_gid)
    path.chmod(before.st_mode & 0o777)


def test_a_gpu_that_is_cut_from_now_on_is_opened_again() -> None:
    """Whoever has a slice of it opens its node."""
    with whole_node() as node:
        node.start()
        assert _state(node) == (0, ACCOUNT, 0o660)
        node.stop()
        own = json.loads(node.configuration.read_text())
        own["MIGBroker"]["gpus"] += own["MIGBroker"].pop("whole_gpus")
        node.configuration.write_text(json.dumps(own))
        node.start()
        assert (node.node.stat().st_uid, stat.S_IMODE(node.node.stat().st_mode)) == (0, 0o666)


def test_a_broker_with_company_in_its_group_does_not_start() -> None:
    """They could open every such GPU."""
    with whole_node(user="nobody") as node:
        refused = node.asked(0, "broker", "--config", str(node.configuration))
        assert refused.returncode != 0
        assert b"whose group is its own" in refused.stderr
        assert b"_apt" in refused.stderr
