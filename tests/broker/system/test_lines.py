"""The log of a node's broker: one line for each event, whatever users write."""

from __future__ import annotations

import logging
import re

from jupyter_mig.broker import story
from jupyter_mig.broker.system.lines import JournalLines, Lines
from tests.broker.system.shared_node import ALICE, SharedNode
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


def test_a_text_of_many_words_is_one_value() -> None:
    """Programs read names and values."""
    assert story.value("1g.10gb+me") == "1g.10gb+me"
    assert story.value('a" lease=1') == '"a\\" lease=1"'


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
    assert lines["End"].endswith(f" lease={name} uid={ALICE} size=1g.5gb reason=holder-left")
    assert re.search(rf"DestroyInstance {instance} .*{where}\n", said)
    assert f'size="{FORGED}"' in said
