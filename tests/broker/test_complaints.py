"""Lines about those who are refused."""

from __future__ import annotations

import logging

import pytest

from jupyter_mig.broker.complaints import Complaints
from tests.broker.brokers import until


async def test_of_many_lines_about_one_a_few_are_written_and_the_rest_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Those about another are written all the same; and later there are as many again."""
    caplog.set_level(logging.INFO)
    complaints = Complaints(most=2, seconds=0.05)

    async def is_summed() -> bool:
        return "more=" in caplog.text

    for _ in range(2):
        caplog.clear()
        for number in range(9):
            complaints.tell("alice", f"line {number}")
        complaints.tell("bob", "his line")
        assert caplog.messages == ["line 0", "line 1", "his line"]
        await until(is_summed)
        assert caplog.messages[3:] == ["Refuse who=alice more=7"]


async def test_those_who_are_remembered_have_an_end(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever comes under ever new names has few lines, and the others of his time, too."""
    caplog.set_level(logging.INFO)
    complaints = Complaints(most=2, seconds=1e6)
    for number in range(5000):
        complaints.tell(number, "line")
    assert len(caplog.messages) == 4096 + 2
