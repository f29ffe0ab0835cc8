"""Lines of the broker's own log that programs read: a word, then ``name=value``. What is more than
a word is in quotes, as JSON has it, so a user's text cannot look like another value.
"""

from __future__ import annotations

import json
import logging
import re

from jupyter_mig.core import actions
from jupyter_mig.core.actions import Action
from jupyter_mig.core.leases import Lease
from jupyter_mig.core.state import Place, State
from jupyter_mig.wire.administration import Entry

log = logging.getLogger(__name__)


class Story:
    """What happens to leases, from a state on. A lease that has ended is told with the slice that
    it had, which the ledger has let go of by then.
    """

    def __init__(self, state: State) -> None:
        self._slices = {name: _slice(state, lease) for name, lease in state.leases.items()}

    def tell(self, action: Action, state: State) -> None:
        """Log an action, if it is news."""
        told = self.told(action, state)
        if told is not None:
            log.info("%s", told)

    def told(self, action: Action, state: State) -> str | None:
        """The line for an action; None for those that are no news."""
        word = type(action).__name__
        if isinstance(action, actions.CreateInstance | actions.DestroyInstance):
            return line(word, **_place(state.instances.get(action.instance_id)))
        if isinstance(action, actions.SignalOccupants):
            pids = ",".join(map(str, action.pids))
            return line(word, signal=action.signal.value, pids=pids, instance=action.instance_id)
        if isinstance(action, actions.Refuse | actions.End):
            had = self._slices.pop(action.lease_id, {})
            about = _lease(state, action.lease_id)
            return line(word, **about, **had, reason=action.reason.value)
        if isinstance(
            action, actions.Enqueue | actions.Grant | actions.Park | actions.RefuseResize
        ):
            return self._of_lease(word, action.lease_id, state)
        return None

    def _of_lease(self, word: str, lease_id: str, state: State) -> str:
        lease = state.leases.get(lease_id)
        has = {} if lease is None else _slice(state, lease)
        self._slices[lease_id] = has
        return line(word, **_lease(state, lease_id), **has)


def bound(state: State, lease_id: str, pid: int) -> str:
    """The line for a lease that is tied to a kernel's process; 0 for one that is not seen here."""
    lease = state.leases.get(lease_id)
    has = {} if lease is None else _slice(state, lease)
    return line("Bind", **_lease(state, lease_id), **has, pid=pid)


def noted(note: Entry) -> str:
    """The line for what an administrator did."""
    return line(
        "Admin",
        act=note.what,
        by_uid=note.by_uid,
        lease=note.lease,
        uid=note.uid,
        size=note.size,
        mig_uuid=note.mig_uuid,
        gpu=note.gpu_uuid,
        reason=note.reason,
    )


def line(word: str, /, **values: object) -> str:
    """A line; values that are empty or None are left out."""
    known = {name: str(each) for name, each in values.items() if each not in ("", None)}
    return " ".join((word, *(f"{name}={value(each)}" for name, each in known.items())))


def value(text: str) -> str:
    """A text as a value: in quotes if it is more than a word."""
    return text if re.fullmatch(r"[\w.,:+/@-]+", text, re.ASCII) else json.dumps(text)


def _lease(state: State, lease_id: str) -> dict[str, object]:
    lease = state.leases.get(lease_id) or state.ended.get(lease_id)
    if lease is None:
        return {"lease": lease_id}
    return {"lease": lease_id, "uid": lease.owner, "size": lease.size}


def _slice(state: State, lease: Lease) -> dict[str, object]:
    return _place(state.place_of(lease))


def _place(place: Place | None) -> dict[str, object]:
    if place is None:
        return {}
    return {
        "instance": place.instance_id,
        "profile": place.profile_name,
        "gpu": place.spec.gpu_uuid,
        "start": place.spec.start,
    }
