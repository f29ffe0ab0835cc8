"""Lines about those who are refused."""

from __future__ import annotations

import logging

import pytest

from jupyter_mig.broker.callers.complaints import Complaints
from tests.broker.brokers import until


async def test_of_many_lines_about_one_a_few_are_written_and_the_rest_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Those about another, or of another kind, are written all the same; later there are as many
    again.
    """
    caplog.set_level(logging.INFO)
    complaints = Complaints(most=2, seconds=0.05)

    async def is_summed() -> bool:
        return "more=" in caplog.text

    for _ in range(2):
        caplog.clear()
        for number in range(9):
            complaints.tell("alice", "why", f"line {number}")
        complaints.tell("bob", "why", "his line")
        complaints.tell("alice", "else", "another")
        assert caplog.messages == ["line 0", "line 1", "his line", "another"]
        await until(is_summed)
        assert caplog.messages[4:] == ["Refuse who=alice reason=why more=7"]


async def test_those_who_are_remembered_have_an_end(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever comes under ever new names has few lines, and the others of his time, too."""
    caplog.set_level(logging.INFO)
    complaints = Complaints(most=2, seconds=1e6)
    for number in range(5000):
        complaints.tell(number, "why", "line")
    assert len(caplog.messages) == 4096 + 2
