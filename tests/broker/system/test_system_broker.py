"""One broker for all users of a node, as its users meet it."""

from __future__ import annotations

import json
import os
import pwd
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_mig.broker.system import configuration
from jupyter_mig.errors import MalformedSpec
from tests.broker.opening import CLOSED, NOTHING_BEHIND, opening
from tests.broker.system.shared_node import ALICE, BOB, SERVICE, SharedNode

SLICE = "1g.5gb"


def _held(node: SharedNode, uid: int, size: str = SLICE) -> subprocess.Popen[bytes]:
    """A command of that user's that holds a slice until its input ends."""
    process = node.spawn(
        uid,
        *("run", "--size", size, "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES; exec cat"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith((b"MIG-", b"GPU-")), node.said()
    return process


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.communicate(timeout=60)
    assert process.returncode == 0


def _leases(node: SharedNode, uid: int) -> list[dict[str, Any]]:
    done = node.asked(uid, "leases", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _nodes(node: SharedNode) -> dict[Path, int]:
    """The nodes of slices and whose they are."""
    found = (node.tree / "dev" / "nvidia-caps").glob("nvidia-cap*")
    return {each: each.stat().st_uid for each in found if os.minor(each.stat().st_rdev) > 2}


def test_who_speaks_to_users_is_not_root(node: SharedNode) -> None:
    """Root's process has no socket; the one that has is another user's."""
    service = pwd.getpwnam(SERVICE).pw_uid
    assert sorted(node.processes().values()) == [0, service]
    assert node.socket.stat().st_uid == service
    (serving,) = (pid for pid, uid in node.processes().items() if uid == service)
    status = Path(f"/proc/{serving}/status").read_text()
    assert f"CapEff:\t{0:016x}" in status


def test_each_user_has_a_slice_that_no_other_can_open(node: SharedNode) -> None:
    """Two users at once; the device nodes are real, only the driver behind them is not."""
    alices, bobs = _held(node, ALICE), _held(node, BOB)
    nodes = _nodes(node)
    assert sorted(nodes.values()) == [ALICE, ALICE, BOB, BOB]
    for path, owner in nodes.items():
        other = BOB if owner == ALICE else ALICE
        assert (opening(path, owner), opening(path, other)) == (NOTHING_BEHIND, CLOSED)
    _ended(alices)
    _ended(bobs)


def test_the_next_tenant_gets_nodes_that_are_closed_to_the_last(node: SharedNode) -> None:
    """The same slice, another user."""
    _ended(_held(node, ALICE))
    bobs = _held(node, BOB)
    for path in _nodes(node):
        assert (opening(path, ALICE), opening(path, BOB)) == (CLOSED, NOTHING_BEHIND)
    _ended(bobs)


def test_users_see_their_own_leases_only(node: SharedNode) -> None:
    """Of others, that somebody holds something; not what they call it, and it is not theirs."""
    alices = _held(node, ALICE)
    (lease,) = _leases(node, ALICE)
    assert _leases(node, BOB) == []
    seen = node.asked(BOB, "status", "--json").stdout.decode()
    assert lease["label"]
    assert lease["label"] not in seen
    refused = node.asked(BOB, "release", lease["lease_id"])
    assert refused.returncode != 0
    assert [each["lease_id"] for each in _leases(node, ALICE)] == [lease["lease_id"]]
    _ended(alices)


def test_killed_and_restarted_it_knows_what_it_knew(node: SharedNode) -> None:
    """Both processes killed hard; the command goes on, keeps its slice, and its end is noticed."""
    alices = _held(node, ALICE)
    before = _leases(node, ALICE)
    for pid in node.processes():
        os.kill(pid, signal.SIGKILL)
    node.stop(signal.SIGKILL)
    node.socket.unlink()
    node.start()
    after = _leases(node, ALICE)
    assert [each["lease_id"] for each in after] == [each["lease_id"] for each in before]
    assert set(_nodes(node).values()) == {ALICE}
    _ended(alices)
    _gone(node)


def _gone(node: SharedNode) -> None:
    """Wait, by asking for all of the GPU, until nobody holds anything."""
    whole = node.asked(BOB, "run", "--size", "7g.40gb", "--", "true")
    assert whole.returncode == 0, whole.stderr


@pytest.mark.parametrize("which", ["helper", "broker"])
def test_when_one_process_ends_so_does_the_other(node: SharedNode, which: str) -> None:
    """A supervisor sees one service, up or down."""
    service = pwd.getpwnam(SERVICE).pw_uid
    (serving,) = (pid for pid, uid in node.processes().items() if uid == service)
    if which == "broker":
        os.kill(serving, signal.SIGKILL)
        node.stop(signal.SIGCONT)
    else:
        node.stop(signal.SIGKILL)
    pidfd_gone(serving)


def pidfd_gone(pid: int) -> None:
    """Wait until a process that is no child of ours has exited."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return

    try:
        assert select.select([descriptor], [], [], 60)[0]
    finally:
        os.close(descriptor)


def test_without_it_nobody_starts_a_broker_of_his_own(node: SharedNode) -> None:
    """On this node that would be somebody cutting GPUs behind its back."""
    assert node.stop() == 0
    refused = node.asked(ALICE, "leases")
    assert refused.returncode != 0
    assert b"The broker of this node does not answer" in refused.stderr


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda own: own.update(gpus=[]), "names no GPU"),
        (lambda own: own.update(gpu=["0"]), "has no gpu"),
        (lambda own: own.update(isolation="maybe"), "isolation"),
        (lambda own: own.update(keep_reading_seconds=-1), "keep_reading_seconds"),
        (lambda own: own.update(pools={"1g.5gb": -1}), "pools"),
        (lambda own: own.update(pools={"1g5gb": 1}), "1g5gb"),
        (lambda own: own.update(claimed_gpus_are_ours=["GPU-2"]), "claimed_gpus_are_ours"),
        (lambda own: own.update(isolation=False, cgroup_filter="/x"), "cgroup_filter needs"),
        (lambda own: own.update(whole_gpus=["GPU-2"], cgroup_filter="/x"), "whole_gpus must be"),
        (lambda own: own.update(policy={"who": "*"}), "policy"),
        (lambda own: own.update(policy=[{"who": ["*"]}, {}]), "rule 2 of policy"),
        (lambda own: own.update(policy=[{"who": ["*"], "slice": 1}]), "`slice`"),
        (lambda own: own.update(policy=[{"who": ["*"], "sizes": ["1g10gb"]}]), "1g10gb"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(
    tmp_path: Path, change: Change, words: str
) -> None:
    """And names the file."""
    file = tmp_path / "broker.json"
    own: dict[str, Any] = {"gpus": ["GPU-1"]}
    change(own)
    file.write_text(json.dumps({"MIGBroker": own}))
    with pytest.raises(MalformedSpec) as wrong:
        configuration.read(file)
    assert words in wrong.value.situation
    assert str(file) in wrong.value.situation


def test_a_configuration_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """Whoever writes it tells root what to do."""
    file = tmp_path / "broker.json"
    file.write_text(json.dumps({"MIGBroker": {"gpus": ["GPU-1"]}}))
    file.chmod(0o666)
    with pytest.raises(MalformedSpec) as wrong:
        configuration.read(file)
    assert "others than its owner may write it" in wrong.value.situation
