"""An administrator looks after a node with real users."""

from __future__ import annotations

import csv
import json
import pwd
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mig.core.geometry import Spec
from jupyter_mig.nvml.driver import open_driver
from tests.broker.asking import say
from tests.broker.opening import CLOSED, NOTHING_BEHIND, opening
from tests.broker.system.shared_node import (
    ALICE,
    BOB,
    PATIENCE_SECONDS,
    SERVICE,
    SharedNode,
    lacking,
    shared_node,
)
from tests.broker.system.test_system_broker import _nodes

ROOT = 0
PIPE = subprocess.PIPE
SLICE = "1g.5gb"


def _held(node: SharedNode, uid: int, size: str = SLICE) -> subprocess.Popen[bytes]:
    """A command of that user's that holds a slice until its input ends."""
    process = node.spawn(
        *(uid, "run", "--size", size, "--", "sh", "-c", "echo here; exec cat"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n", node.said()
    return process


def _admin(node: SharedNode, *arguments: str, uid: int = ROOT) -> Any:
    """``jupyter mig admin … --json``, understood."""
    done = node.asked(uid, "admin", *arguments, "--json")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.communicate(timeout=60)


def test_all_leases_are_seen_with_their_users(node: SharedNode) -> None:
    """Of two users, with what they call them; the table has the same."""
    alices, bobs = _held(node, ALICE), _held(node, BOB)
    leases = _admin(node, "leases")
    assert sorted(each["uid"] for each in leases) == [ALICE, BOB]
    assert {each["kernel_pid"] for each in leases} == {alices.pid, bobs.pid}
    assert all(each["mig_uuid"].startswith("MIG-") for each in leases)
    page = node.asked(ROOT, "admin", "leases").stdout.decode()
    assert str(ALICE) in page
    assert leases[0]["label"] in page
    _ended(alices)
    _ended(bobs)


def test_a_user_is_told_why_his_lease_was_revoked(node: SharedNode) -> None:
    """His process is ended, his leases say it while it drains, and the annals keep it."""
    alices = _held(node, ALICE)
    (lease,) = _admin(node, "leases")
    (before,) = json.loads(node.asked(ALICE, "leases", "--json").stdout)
    revoked = _admin(node, "revoke", lease["lease_id"], "--reason", "exam at noon")
    assert revoked["state"] == "draining"
    assert alices.wait(60) != 0
    status, view = _as_user(node, ALICE, "GET", f"/v1/leases/{before['lease_id']}")
    assert status == 200
    assert view["refusal"]["kind"] == "lease-ended"
    assert "exam at noon" in view["refusal"]["message"]
    (entry,) = [each for each in _admin(node, "audit") if each["what"] == "revoked"]
    assert (entry["uid"], entry["by_uid"], entry["reason"]) == (ALICE, ROOT, "exam at noon")
    assert (entry["lease"], entry["mig_uuid"]) == (lease["lease_id"], lease["mig_uuid"])
    _ended(alices)


def test_a_request_that_waits_is_revoked_with_the_reason(node: SharedNode) -> None:
    """The command that waits for it ends and says why."""
    bobs = _held(node, BOB, "7g.40gb")
    waits = node.spawn(ALICE, "run", "--size", SLICE, "--", "true", stdout=PIPE, stderr=PIPE)
    assert waits.stderr is not None
    assert b"in line" in waits.stderr.readline() + waits.stderr.readline()
    (lease,) = [each for each in _admin(node, "leases") if each["uid"] == ALICE]
    _admin(node, "revoke", lease["lease_id"][:8], "--reason", "no more today")
    _, said = waits.communicate(timeout=60)
    assert waits.returncode == 3
    assert b"no more today" in said
    _ended(bobs)


def test_on_a_drained_gpu_nothing_starts_even_after_a_restart(node: SharedNode) -> None:
    """Who has a slice keeps it, and is not troubled; taken back, the next one gets his."""
    alices = _held(node, ALICE)
    (gpu,) = _admin(node, "drain", "0", "--reason", "driver upgrade")
    assert (gpu["drained"], gpu["mode"]) == (True, "unusable")
    node.stop()
    node.start()
    refused = node.asked(BOB, "run", "--no-wait", "--size", SLICE, "--", "true")
    assert refused.returncode == 3
    assert b"an administrator drains it: driver upgrade" in refused.stderr
    assert alices.poll() is None
    _admin(node, "undrain", gpu["uuid"])
    _ended(_held(node, BOB))
    _ended(alices)
    acts = [(each["what"], each["reason"]) for each in _admin(node, "audit") if each["by_uid"] == 0]
    assert acts == [("drained", "driver upgrade"), ("reopened", "")]


def test_drain_can_wait_until_the_gpu_is_empty(node: SharedNode) -> None:
    """It ends once the last user is gone."""
    alices = _held(node, ALICE)
    waits = node.spawn(ROOT, "admin", "drain", "all", "--wait", stdout=PIPE, stderr=PIPE)
    _until_drained(node)
    assert waits.poll() is None
    _ended(alices)
    said, _ = waits.communicate(timeout=60)
    assert (waits.returncode, said.endswith(b": nobody has a slice there.\n")) == (0, True)


def _until_drained(node: SharedNode) -> None:
    give_up_at = time.monotonic() + 60
    while not say(node.socket, "GET", "/v1/node")[1]["gpus"][0]["drained"]:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_the_driver_is_let_go_once_nobody_has_a_slice(node: SharedNode) -> None:
    """In both processes; who asks meanwhile is told why, and resumed all is as before."""
    alices = _held(node, ALICE)
    waits = node.spawn(
        *(ROOT, "admin", "release-driver", "--reason", "upgrade", "--json"),
        stdout=PIPE,
        stderr=PIPE,
    )
    _until_drained(node)
    assert waits.poll() is None
    _ended(alices)
    said, complained = waits.communicate(timeout=60)
    assert waits.returncode == 0, complained
    assert json.loads(said) == {"driver": node.driver, "open": False}
    refused = node.asked(BOB, "run", "--no-wait", "--size", SLICE, "--", "true")
    assert refused.returncode != 0
    assert _admin(node, "release-driver", "--resume")["open"] is True
    bobs = node.asked(BOB, "run", "--size", SLICE, "--", "true")
    assert bobs.returncode == 0, bobs.stderr
    acts = [each["what"] for each in _admin(node, "audit") if each["by_uid"] == ROOT]
    assert acts == ["drained", "driver-released", "driver-taken-up", "reopened"]


def test_a_restart_opens_the_driver_again(node: SharedNode) -> None:
    """The GPUs stay drained until somebody says otherwise."""
    _admin(node, "release-driver")
    node.stop()
    node.start()
    (gpu,) = _admin(node, "undrain", "all")
    bobs = node.asked(BOB, "run", "--size", SLICE, "--", "true")
    assert bobs.returncode == 0, bobs.stderr
    assert not gpu["drained"]


def test_it_is_not_let_go_under_anybody(node: SharedNode) -> None:
    """Nor before the GPUs are drained: the next request would come in between."""
    status, error = say(node.socket, "POST", "/v1/admin/driver/release")
    assert (status, error["kind"]) == (409, "refused")


@pytest.fixture
def orphaned() -> Iterator[SharedNode]:
    """A node on which somebody has made an instance by hand."""
    if lacking():
        pytest.skip(lacking())
    with shared_node() as one:
        one.start()
        driver = open_driver(one.driver, one.directory / "state" / "simulated.json")
        try:
            (gpu,) = driver.gpus()
            profile = gpu.geometry.by_name["7g.40gb"]
            driver.create(Spec(gpu.uuid, profile.profile_id, profile.starts[0]))
        finally:
            driver.close()
        one.stop()
        one.start()
        yield one


def test_an_orphan_is_destroyed_at_a_word(orphaned: SharedNode) -> None:
    """Nobody could be given its room before."""
    (orphan,) = _admin(orphaned, "orphans")
    assert (orphan["state"], orphan["profile"]) == ("outside", "7g.40gb")
    refused = orphaned.asked(ALICE, "run", "--no-wait", "--size", SLICE, "--", "true")
    assert refused.returncode == 3
    _admin(orphaned, "destroy", orphan["instance_id"], "--reason", "left over")
    _ended(_held(orphaned, ALICE))
    assert _admin(orphaned, "orphans") == []
    entries = [each for each in _admin(orphaned, "audit") if each["what"] == "destroyed"]
    assert [each["mig_uuid"] for each in entries] == [orphan["mig_uuid"]]


def test_what_the_helper_has_forgotten_goes_at_a_word(node: SharedNode) -> None:
    """Its register was lost: it refuses what the broker asks, and would until the next boot."""
    alices = _held(node, ALICE)
    node.stop()
    (node.directory / "helper" / "made.json").unlink()
    node.start()
    _ended(alices)
    (stuck,) = _refused_to_go(node)
    _admin(node, "destroy", stuck, "--reason", "forgotten")
    served = node.asked(BOB, "run", "--size", "7g.40gb", "--patience", "60", "--", "true")
    assert served.returncode == 0, served.stderr
    assert [each["what"] for each in _admin(node, "audit") if each["by_uid"] == ROOT] == [
        "destroyed"
    ]


def _refused_to_go(node: SharedNode) -> list[str]:
    """The instances, once the helper has refused to destroy one, and the broker asked again."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while node.said().count("not made by us") < 2:
        assert time.monotonic() < give_up_at, node.said()
        time.sleep(0.05)
    (gpu,) = say(node.socket, "GET", "/v1/node")[1]["gpus"]
    return [each["instance_id"] for each in gpu["instances"]]


def test_an_adopted_orphan_is_handed_out_and_stays(orphaned: SharedNode) -> None:
    """Also by the next broker."""
    (orphan,) = _admin(orphaned, "orphans")
    _admin(orphaned, "adopt", orphan["instance_id"])
    _ended(_held(orphaned, ALICE, "7g.40gb"))
    orphaned.stop()
    orphaned.start()
    bobs = _held(orphaned, BOB, "7g.40gb")
    (lease,) = _admin(orphaned, "leases")
    assert lease["mig_uuid"] == orphan["mig_uuid"]
    _ended(bobs)


def test_a_slice_that_stays_opens_no_more_for_whose_it_was(orphaned: SharedNode) -> None:
    """Though it is nobody else's yet."""
    (orphan,) = _admin(orphaned, "orphans")
    _admin(orphaned, "adopt", orphan["instance_id"])
    alices = _held(orphaned, ALICE, "7g.40gb")
    theirs = [path for path, owner in _nodes(orphaned).items() if owner == ALICE]
    assert {opening(path, ALICE) for path in theirs} == {NOTHING_BEHIND}
    _ended(alices)
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while {opening(path, ALICE) for path in theirs} != {CLOSED}:
        assert time.monotonic() < give_up_at, orphaned.said()


def test_intervals_as_a_table_and_as_csv(node: SharedNode) -> None:
    """One slice after the other; UUIDs come back, so the time counts."""
    _ended(_held(node, ALICE))
    bobs = _held(node, BOB)
    first, second = _admin(node, "intervals")
    assert (first["uid"], second["uid"], second["until"]) == (ALICE, BOB, None)
    assert first["since"] < first["until"] <= second["since"]
    rows = list(csv.DictReader(_lines(node, "intervals", "--csv")))
    assert [(row["uid"], row["mig_uuid"]) for row in rows] == [
        (str(each["uid"]), each["mig_uuid"]) for each in (first, second)
    ]
    assert _admin(node, "intervals", "--since", f"{first['until'] + 0.001:.3f}") == [second]
    assert first["mig_uuid"] in node.asked(ROOT, "admin", "intervals").stdout.decode()
    _ended(bobs)


def _lines(node: SharedNode, *arguments: str) -> list[str]:
    done = node.asked(ROOT, "admin", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().splitlines()


PATHS = [
    ("GET", "leases"),
    ("DELETE", "leases/x"),
    ("POST", "gpus/x/drain"),
    ("DELETE", "gpus/x/drain"),
    ("POST", "driver/release"),
    ("DELETE", "driver/release"),
    ("GET", "orphans"),
    ("POST", "orphans/i1/adopt"),
    ("POST", "orphans/i1/destroy"),
    ("GET", "audit"),
    ("GET", "intervals"),
]

_ASK = """
import http.client, json, socket, sys
path, method, target, body = sys.argv[1:]
line = http.client.HTTPConnection("broker", timeout=20)
line.sock = socket.socket(socket.AF_UNIX)
line.sock.connect(path)
line.request(method, target, body or None)
answer = line.getresponse()
print(json.dumps([answer.status, json.loads(answer.read())]))
"""


def _as_user(node: SharedNode, uid: int, method: str, target: str, *before: str) -> tuple[int, Any]:
    """One request of that user's, by a process of his; ``before`` is what starts that."""
    who: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []}
    done = subprocess.run(
        [*before, "/usr/bin/python3", "-c", _ASK, str(node.socket), method, target, ""],
        check=True,
        capture_output=True,
        cwd="/",
        **who,
    )
    status, answer = json.loads(done.stdout)
    return status, answer


def test_nobody_else_may(node: SharedNode) -> None:
    """Not by any of the paths, whatever is behind them; the command says who may."""
    for method, path in PATHS:
        status, error = _as_user(node, ALICE, method, f"/v1/admin/{path}")
        assert (status, error["kind"]) == (403, "not-allowed"), path
    done = node.asked(ALICE, "admin", "leases")
    assert done.returncode == 3
    assert b"MIGBroker.admins" in done.stderr


def test_the_configuration_names_administrators() -> None:
    """Another user may; not so the one as whom the kernel shows all that are none here."""
    if lacking():
        pytest.skip(lacking())
    daemon, nobody = pwd.getpwnam("daemon").pw_uid, pwd.getpwnam("nobody").pw_uid
    with shared_node(admins=["daemon", "nobody"]) as one:
        one.start()
        assert _as_user(one, daemon, "GET", "/v1/admin/leases") == (200, [])
        assert _as_user(one, ALICE, "GET", "/v1/admin/leases")[0] == 403
        if nobody == int(Path("/proc/sys/kernel/overflowuid").read_text()):
            assert _as_user(one, nobody, "GET", "/v1/admin/leases")[0] == 403


@pytest.mark.parametrize("before", [["unshare", "--user", "--map-root-user"]])
def test_root_of_another_user_namespace_is_nobody(node: SharedNode, before: list[str]) -> None:
    """He thinks that he is uid 0; the kernel tells us who he is here."""
    _require(*before, uid=ALICE)
    status, error = _as_user(node, ALICE, "GET", "/v1/admin/leases", *before)
    assert (status, error["situation"]) == (403, f"You are user {ALICE}.")


def test_root_in_a_container_is_no_administrator(node: SharedNode) -> None:
    """He is uid 0 here, too, but has a pid namespace of his own."""
    before = ["unshare", "--pid", "--fork"]
    _require(*before, uid=ROOT)
    status, error = _as_user(node, ROOT, "GET", "/v1/admin/leases", *before)
    assert (status, error["kind"]) == (403, "not-allowed")
    assert "container" in error["message"]


def _require(*command: str, uid: int) -> None:
    done = subprocess.run([*command, "true"], check=False, user=uid, cwd="/", capture_output=True)
    if done.returncode:
        pytest.skip(f"no namespaces here: {done.stderr.decode().strip()}")


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("DELETE", "leases/x", b"", "not JSON"),
        ("DELETE", "leases/x", {}, "reason"),
        ("DELETE", "leases/x", {"reason": ""}, "Field reason"),
        ("DELETE", "leases/x", {"reason": "r" * 501}, "Field reason"),
        ("DELETE", "leases/x", {"reason": "r", "who": "me"}, "unknown field who"),
        ("DELETE", "leases/x", {"reason": "r"}, "There is no lease x"),
        ("POST", "gpus/GPU-9/drain", {"reason": "r"}, "no GPU GPU-9"),
        ("POST", "gpus/GPU-9/drain", {"why": "r"}, "no GPU GPU-9"),
        ("POST", "orphans/i1/adopt", None, "no orphan"),
        ("POST", "orphans/i1/destroy", None, "no orphan"),
        ("GET", "audit?since=yesterday", None, "Field since"),
        ("GET", "audit?until=1", None, "unknown field until"),
        ("GET", "intervals?since=0&from=1", None, "unknown field from"),
        ("GET", "everything", None, "There is no such path"),
    ],
)
def test_wrong_requests_are_refused_in_words(
    node: SharedNode, method: str, path: str, body: object, words: str
) -> None:
    """Of administrators, too."""
    status, error = say(node.socket, method, f"/v1/admin/{path}", body)
    assert status in (400, 404), error
    assert words in error["message"]


def test_a_node_without_a_broker_for_all_has_no_administrators(node: SharedNode) -> None:
    """No broker of root's own is started to be asked."""
    node.configuration.unlink()
    done = node.asked(ROOT, "admin", "leases")
    assert done.returncode == 2
    assert b"no broker for all users" in done.stderr


def test_an_administrator_sees_what_a_user_could_start() -> None:
    """With that user's limits, by his name; nobody else is told, and nothing of who is nobody."""
    if lacking():
        pytest.skip(lacking())
    rule = {"who": [SERVICE], "sizes": [SLICE], "slices": 2}
    with shared_node(policy=[rule]) as node:
        node.start()
        path = f"/v1/admin/node?user={SERVICE}"
        status, seen = _as_user(node, ROOT, "GET", path)
        free = {size["size"]: size["free"] for size in seen["sizes"] if not size["not_allowed"]}
        assert (status, free) == (200, {SLICE: 2})
        assert seen["allowance"]["rule"] == f"rule 1 ({SERVICE})"
        assert _as_user(node, ALICE, "GET", path)[0] == 403
        for name in ("no-such-user", "root", "hub:no-such-user"):
            status, refusal = _as_user(node, ROOT, "GET", f"/v1/admin/node?user={name}")
            assert (status, refusal["message"]) == (404, f"{name} is no user of this node.")


def test_an_administrator_sees_in_how_long_a_slice_ends() -> None:
    """Of whom a rule gives an end; of others nothing."""
    if lacking():
        pytest.skip(lacking())
    with shared_node(policy=[{"who": ["*"], "lifetime_seconds": 7500}]) as node:
        node.start()
        alices = _held(node, ALICE)
        (lease,) = _admin(node, "leases")
        assert 7200 < lease["ends_in_seconds"] <= 7500
        page = node.asked(ROOT, "admin", "leases").stdout.decode()
        assert "ENDS IN" in page
        assert "  2 h  " in page
        _ended(alices)
