"""One line for each thing that happens to a lease, for the broker's own log: a word, then
``name=value`` for programs. A user's text cannot look like another value.
"""

from __future__ import annotations

import json
import re

from jupyter_mig.core import actions
from jupyter_mig.core.actions import Action
from jupyter_mig.core.leases import Lease
from jupyter_mig.core.state import Place, State


def told(action: Action, state: State) -> str | None:
    """The line for an action; None for those that are no news."""
    if isinstance(action, actions.CreateInstance | actions.DestroyInstance):
        return f"{_verb(action)} {_place(state.instances.get(action.instance_id))}"
    if isinstance(action, actions.SignalOccupants):
        pids = ",".join(map(str, action.pids))
        return f"{action.signal.value} to pids={pids} on instance={action.instance_id}"
    if isinstance(action, actions.Refuse | actions.End):
        return f"{_verb(action)} {_lease(state, action.lease_id)} reason={action.reason.value}"
    if isinstance(action, actions.Enqueue | actions.Grant | actions.Park | actions.RefuseResize):
        return f"{_verb(action)} {_lease(state, action.lease_id)}"
    return None


def bound(state: State, lease_id: str, pid: int) -> str:
    """The line for a lease that is tied to a kernel's process; 0 for one that is not seen here."""
    return f"Bind {_lease(state, lease_id)} pid={pid}"


def value(text: str) -> str:
    """A text as a value: in quotes if it is more than a word."""
    return text if re.fullmatch(r"[\w.+:/@-]+", text, re.ASCII) else json.dumps(text)


def _verb(action: Action) -> str:
    return type(action).__name__


def _lease(state: State, lease_id: str) -> str:
    lease = state.leases.get(lease_id) or state.ended.get(lease_id)
    if lease is None:
        return f"lease={lease_id}"
    who = f"lease={lease_id} uid={lease.owner} size={value(lease.size)}"
    return f"{who} {_slice(state, lease)}".rstrip()


def _slice(state: State, lease: Lease) -> str:
    place = state.place_of(lease)
    return _place(place) if place is not None else ""


def _place(place: Place | None) -> str:
    if place is None:
        return ""
    return (
        f"instance={place.instance_id} profile={place.profile_name}"
        f" gpu={place.spec.gpu_uuid} start={place.spec.start}"
    )
