"""Waiting for what happens to GPUs."""

from __future__ import annotations

import threading

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu, make

XID, CONFIG = pynvml.nvmlEventTypeXidCriticalError, pynvml.nvmlEventMigConfigChange
TIMEOUT = 10


def test_events_are_told_in_order_to_those_who_asked() -> None:
    """Of that GPU and type, and only what happened after they asked."""
    with program.running("2xA30") as node:
        make(gpu(0), 14)
        events = pynvml.nvmlEventSetCreate()
        pynvml.nvmlDeviceRegisterEvents(gpu(0), CONFIG, events)
        pynvml.nvmlDeviceRegisterEvents(gpu(1), XID, events)
        assert code(pynvml.nvmlEventSetWait_v2, events, 0) == TIMEOUT
        make(gpu(1), 14)
        node.create(0, "1g.6gb")
        node.require_reset(1)
        node.lose(1)
        told = [pynvml.nvmlEventSetWait_v2(events, 0) for _ in range(3)]
        assert [(one.eventType, one.eventData) for one in told] == [
            (CONFIG, 0),
            (XID, 95),
            (XID, 79),
        ]
        assert told[0].gpuInstanceId == 0xFFFFFFFF
        assert pynvml.nvmlDeviceGetIndex(told[0].device) == 0
        assert code(pynvml.nvmlEventSetWait_v2, events, 0) == TIMEOUT


def test_who_waits_is_woken(a100: simulated.Node) -> None:
    """The event comes while a thread sleeps in the call."""
    events = pynvml.nvmlEventSetCreate()
    pynvml.nvmlDeviceRegisterEvents(gpu(), CONFIG, events)
    told = []
    waiting = threading.Thread(
        target=lambda: told.append(pynvml.nvmlEventSetWait_v2(events, 60_000).eventType)
    )
    waiting.start()
    a100.create(0, "1g.5gb")
    waiting.join()
    assert told == [CONFIG]


def test_two_sets_are_told_both(a100: simulated.Node) -> None:
    """An event is not used up by the first who hears of it."""
    both = [pynvml.nvmlEventSetCreate() for _ in range(2)]
    for events in both:
        pynvml.nvmlDeviceRegisterEvents(gpu(), CONFIG, events)
    a100.create(0, "1g.5gb")
    assert [code(pynvml.nvmlEventSetWait_v2, events, 0) for events in both] == [0, 0]


def test_only_what_can_happen_can_be_asked_for(a100: simulated.Node) -> None:
    """Supported types are told; others, and MIG devices, are refused; freed sets are gone."""
    events = pynvml.nvmlEventSetCreate()
    assert pynvml.nvmlDeviceGetSupportedEventTypes(gpu()) == XID | CONFIG
    clock = pynvml.nvmlEventTypeClock
    assert code(pynvml.nvmlDeviceRegisterEvents, gpu(), clock, events) == 3
    mig = program.mig_device(make(gpu(), 19))
    assert code(pynvml.nvmlDeviceRegisterEvents, mig, XID, events) == 3
    pynvml.nvmlEventSetFree(events)
    assert code(pynvml.nvmlEventSetFree, events) == 2
    assert code(pynvml.nvmlDeviceRegisterEvents, gpu(), XID, events) == 2


@pytest.mark.parametrize("bad", [None, pynvml.c_nvmlEventSet_t()])
def test_no_set_is_an_invalid_argument(a100: simulated.Node, bad: object) -> None:
    """NULL is no set."""
    assert code(pynvml.nvmlEventSetWait_v2, bad, 0) == 2
