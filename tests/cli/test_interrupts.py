"""Ending on request, once."""

from __future__ import annotations

import signal

import pytest

from jupyter_mig.cli.interrupts import heeded_later, until_interrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_ends_the_block_and_lets_it_clean_up(number: signal.Signals) -> None:
    """The first one interrupts, those that follow do not disturb the cleaning."""
    before = signal.getsignal(number)
    steps = []
    with until_interrupted():
        try:
            signal.raise_signal(number)
            steps.append("not reached")
        finally:
            signal.raise_signal(number)
            steps.append("cleaned")
    assert steps == ["cleaned"]
    assert signal.getsignal(number) is before


def test_what_the_parent_ignores_stays_ignored() -> None:
    """``nohup jupyter mig demo`` outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with until_interrupted():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_can_be_heeded_later(number: signal.Signals) -> None:
    """Nothing is cut off; the block learns of it when it asks."""
    before = signal.getsignal(number)
    with heeded_later() as told:
        answers = [told()]
        signal.raise_signal(number)
        answers.append(told())
    assert answers == [False, True]
    assert signal.getsignal(number) is before
