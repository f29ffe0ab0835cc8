from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.core import actions, events
from jupyter_mig.core.ledger import HANDLERS
from jupyter_mig.core.rules import Rules
from tests.core.nodes import A100, gpu
from tests.core.story import Story

EVENT_TYPES = typing.get_args(events.AnyEvent)
ACTION_TYPES = typing.get_args(actions.AnyAction)
NAMES = st.dictionaries(st.text(), st.text())
POOLS = st.dictionaries(st.text(), st.integers(0, 9))
st.register_type_strategy(Rules, st.builds(Rules, names=NAMES, pools=POOLS))


def values(types: tuple[type, ...]) -> st.SearchStrategy[Any]:
    """Any value of these types whose numbers JSON can carry."""
    return st.one_of(*(st.from_type(each) for each in types)).filter(_carried_by_json)


def _carried_by_json(value: object) -> bool:
    """Not so infinity, and integers beyond 64 bits."""
    plain = msgspec.to_builtins(value)
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(plain)) == plain)
    except OverflowError:
        return False


@given(values(EVENT_TYPES))
def test_events_survive_json(event: events.AnyEvent) -> None:
    """What is read back from the log is what was written."""
    assert msgspec.json.decode(msgspec.json.encode(event), type=events.AnyEvent) == event


@given(values(ACTION_TYPES))
def test_actions_survive_json(action: actions.AnyAction) -> None:
    """An action can be sent and read back."""
    assert msgspec.json.decode(msgspec.json.encode(action), type=actions.AnyAction) == action


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"event":"Nonsense"}',
        '{"event":"TimePassed","more":1}',
        '{"event":"LeaseReleased"}',
        '{"event":"LeaseReleased","lease_id":7}',
        '{"event":"GpuFailed","gpu_uuid":"GPU-0","error":"lost","colour":"red"}',
        '{"event":"InstanceCreated","instance_id":"i1","identity":{"gi_id":1,"colour":"red"}}',
        '{"event":"TimePassed"',
    ],
)
def test_what_is_no_event_is_refused(text: str) -> None:
    """Garbage, missing fields and fields of a newer version are not half understood."""
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(text, type=events.AnyEvent)


def test_each_event_is_handled() -> None:
    """The ledger knows every event there is, and no other."""
    assert set(HANDLERS) == set(EVENT_TYPES)


def test_an_old_line_of_the_log() -> None:
    """The names in the log are a format: this line must be readable for ever."""
    line = b'{"event":"GpuFailed","gpu_uuid":"GPU-0","error":"lost"}'
    assert msgspec.json.decode(line, type=events.AnyEvent) == events.GpuFailed("GPU-0", "lost")


@given(values(EVENT_TYPES))
def test_events_about_the_unknown_are_harmless(event: events.AnyEvent) -> None:
    """An answer that comes too late, or speaks of what the ledger does not know, breaks nothing."""
    story = Story(A100)
    if isinstance(event, events.GpuObserved | events.SlicesRequested):
        return  # these bring their subject with them
    story.ledger.handle(event, 200.0)
    story.ledger.check()


def test_a_node_survives_json() -> None:
    """A GPU with all its profiles comes back equal, derived tables and all."""
    seen = events.GpuObserved(gpu(0, A100), creates=True)
    back = msgspec.json.decode(msgspec.json.encode(seen), type=events.GpuObserved)
    assert back == seen
    assert back.gpu.geometry.shapes == A100.shapes
