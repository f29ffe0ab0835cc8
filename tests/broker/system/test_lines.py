"""The log of a node's broker: one line for each event, whatever users write."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.broker import story
from jupyter_mig.broker.system.lines import JournalLines, Lines
from tests.broker.system.shared_node import ALICE, BOB, SharedNode
from tests.broker.system.test_attacks import _asking
from tests.broker.system.test_system_broker import _ended, _held, _leases

FORGED = "8g.80gb lease=f uid=0"


def _record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("door", logging.WARNING, "", 0, message, arguments, None)


def test_a_user_cannot_write_a_line_of_his_own() -> None:
    """Nor move a cursor, nor begin a line with a priority that the journal would read."""
    evil = _record("label=%s", "a\n<0>CRITICAL door: gone\x1b[2J\u202e\r")
    assert Lines("%(levelname)s %(message)s").format(evil) == (
        "WARNING label=a\n  <0>CRITICAL door: gone?[2J??"
    )
    assert JournalLines("%(message)s").format(evil) == (
        "<4>label=a\n<4>  <0>CRITICAL door: gone?[2J??"
    )


LINE = re.compile(r'(?P<word>[A-Z]\w*)((?: \w+=(?:[^\s"]+|"(?:[^"\\]|\\.)*"))*)')
VALUE = re.compile(r' (\w+)=([^\s"]+|"(?:[^"\\]|\\.)*")')


def _read(line: str) -> tuple[str, dict[str, str]]:
    """A program that reads a line: its word and its values."""
    found = LINE.fullmatch(line)
    assert found is not None, line
    values = VALUE.findall(found[2])
    return found["word"], {
        name: json.loads(text) if text.startswith('"') else text for name, text in values
    }


@given(values=st.dictionaries(st.sampled_from(["lease", "size", "reason"]), st.text(min_size=1)))
def test_whatever_users_write_is_read_as_they_wrote_it(values: dict[str, str]) -> None:
    """Programs read names and values; what goes to the journal is one line."""
    line = story.line("End", uid=0, **values)
    assert Lines("%(message)s").format(_record("%s", line)) == line
    assert _read(line) == ("End", {"uid": "0", **values})


def test_a_word_is_not_quoted() -> None:
    """People read it, too."""
    assert story.value("1g.10gb+me") == "1g.10gb+me"
    assert story.value('a" lease=1') == '"a\\" lease=1"'


def test_a_reason_forges_no_line(node: SharedNode) -> None:
    """An administrator's words are his alone; who did it is not for him to say."""
    alices = _held(node, ALICE)
    (lease,) = _leases(node, ALICE)
    reason = 'noon" by_uid=5 uid=0\nINFO jupyter_mig.broker.story: End lease=forged uid=0'
    done = node.asked(0, "admin", "revoke", lease["lease_id"], "--reason", reason)
    assert done.returncode == 0, done.stderr
    alices.communicate(timeout=60)
    said = node.said().splitlines()
    assert not any("forged" in line.partition('"')[0] for line in said)
    (line,) = (line.partition(": ")[2] for line in said if ": Admin " in line)
    word, values = _read(line)
    assert (word, values["act"], values["by_uid"]) == ("Admin", "revoked", "0")
    assert values["reason"] == reason.replace("\n", "?")
    assert values["uid"] == str(ALICE)
    assert values["lease"] == lease["lease_id"]
    assert values["gpu"] == lease["slice"]["gpu_uuid"]


def test_a_lease_that_ends_under_the_next_broker_says_where_it_was(node: SharedNode) -> None:
    """It was granted by the one before."""
    alices = _held(node, ALICE)
    node.stop()
    node.start()
    _ended(alices)
    node.asked(ALICE, "run", "--size", "7g.40gb", "--", "true")  # the other is over by then
    granted, *_, ended = re.findall(r": (?:Grant|End) (.*1g.5gb.*)", node.said())
    assert ended == f"{granted} reason=holder-left"


def test_each_event_of_a_lease_says_whose_and_where(node: SharedNode) -> None:
    """Granted, bound, ended, its slice destroyed; and what was refused, by a size that would forge
    another lease.
    """
    alices = _held(node, ALICE)
    (lease,) = _leases(node, ALICE)
    name = lease["lease_id"]
    where = f"gpu={lease['slice']['gpu_uuid']} start={lease['slice']['start']}"
    _ended(alices)
    refused = node.asked(ALICE, "run", "--size", FORGED, "--", "true")
    assert refused.returncode != 0
    node.asked(ALICE, "run", "--size", "7g.40gb", "--", "true")  # the other is over by then
    said = node.said()
    lines = {line.split()[2]: line for line in said.splitlines() if f"lease={name} " in line}
    for word in ("Grant", "Bind"):
        assert f"uid={ALICE} " in lines[word]
        assert lines[word].partition(" pid=")[0].endswith(where)
    instance = re.findall(r"instance=\w+", lines["Grant"])[0]
    has = lines["Grant"].partition("Grant ")[2]
    assert lines["End"].endswith(f" End {has} reason=holder-left")
    assert re.search(rf"DestroyInstance {instance} .*{where}\n", said)
    assert f'size="{FORGED}"' in said


def test_whoever_is_refused_is_in_the_log(node: SharedNode) -> None:
    """Each kind of it with who it was and for what, and none as often as he likes."""
    alices = _held(node, ALICE)
    (lease,) = _leases(node, ALICE)
    name = lease["lease_id"]
    asks: list[tuple[str, str, Any]] = [
        ("DELETE", f"/v1/leases/{name}", None),
        ("GET", "/v1/admin/leases", None),
        ("POST", "/v1/leases", {"kernel_id": "a", "size": "1g.5gb", "uid": 0}),
        ("GET", f"/v1/slice?lease={name}", None),
        *([("GET", "/v1/nowhere", None)] * 30),
    ]
    with _asking(node, BOB, *asks) as answers:
        assert [status for status, _ in answers] == [404, 403, 400, 404, *[400] * 30]
    said = [line.partition("Refuse ")[2] for line in node.said().splitlines() if "Refuse" in line]
    assert all(line.startswith(f"uid={BOB} reason=") for line in said)
    kinds = [line.split()[1:3] for line in said]
    for reason, path in (
        ("unknown-lease", f"/v1/leases/{name}"),
        ("not-allowed", "/v1/admin/leases"),
        ("bad-request", "/v1/leases"),
        ("unknown-lease", "/v1/slice"),
        ("bad-request", "/v1/nowhere"),
    ):
        assert [f"reason={reason}", f"path={path}"] in kinds
    assert sum(kind == "reason=bad-request" for kind, _ in kinds) == 10
    _ended(alices)
