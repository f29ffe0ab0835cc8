"""A lease, the states it goes through, and the one table that says which way.

=========  ==================================================  ================================
state      means                                               leaves when
=========  ==================================================  ================================
waiting    in the queue, cancellable at once                   room, cancelled, out of patience
creating   its instance is being made ready; cannot be         made, failed, doomed
           cancelled, only doomed
doomed     nobody wants it any more, the driver still works    made (and undone), failed
granted    tied to the process that asked                      bound, released, that process dies
bound      tied to the kernel process                          released, lost, that process dies
orphaned   the kernel died, its server lives                   bound or renewed again, grace over
draining   holder gone, the slice perhaps not                  the slice is observed empty
released   over
=========  ==================================================  ================================
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NewType

import msgspec

from jupyter_mig.core.policy import Limits

Holder = NewType("Holder", str)
"""Something whose life a lease hangs on. Opaque here: the broker knows it as a process (pid and
start time, so that a reused pid is another holder) or as a heartbeat."""


class LeaseState(str, Enum):
    """Where a lease is; see the module's table."""

    WAITING = "waiting"
    CREATING = "creating"
    DOOMED = "doomed"
    GRANTED = "granted"
    BOUND = "bound"
    ORPHANED = "orphaned"
    DRAINING = "draining"
    RELEASED = "released"


class Trigger(str, Enum):
    """What moves a lease."""

    ROOM = "room found"
    MADE = "instance ready"
    FAILED = "instance not made, try again"
    HOPELESS = "instance cannot be made"
    BIND = "bound to a kernel process"
    RENEW = "renewed by its server"
    KERNEL_LEFT = "kernel process gone, its server lives"
    END = "released, cancelled, given up, or its last holder gone"
    EMPTY = "slice observed empty"
    LOST = "slice observed gone"
    CONDEMNED = "slice will not empty"
    REBOOT = "the machine was rebooted"


class InvalidTransition(RuntimeError):
    """A bug in the ledger: the table has no such way. Carries lease id, state and trigger."""

    def __init__(self, lease_id: str, state: LeaseState, trigger: Trigger) -> None:
        super().__init__(f"lease {lease_id}: no way from {state.value} by {trigger.value!r}")
        self.lease_id, self.state, self.trigger = lease_id, state, trigger


_S, _T = LeaseState, Trigger
_GONE = {_T.REBOOT: _S.RELEASED}

TRANSITIONS: Mapping[LeaseState, Mapping[Trigger, LeaseState]] = MappingProxyType(
    {
        _S.WAITING: {_T.ROOM: _S.CREATING, _T.END: _S.RELEASED, **_GONE},
        _S.CREATING: {
            _T.MADE: _S.GRANTED,
            _T.FAILED: _S.WAITING,
            _T.HOPELESS: _S.RELEASED,
            _T.END: _S.DOOMED,
            **_GONE,
        },
        _S.DOOMED: {
            _T.MADE: _S.RELEASED,
            _T.HOPELESS: _S.RELEASED,
            **_GONE,
        },
        _S.GRANTED: {
            _T.BIND: _S.BOUND,
            _T.RENEW: _S.GRANTED,
            _T.END: _S.DRAINING,
            _T.LOST: _S.RELEASED,
            **_GONE,
        },
        _S.BOUND: {
            _T.BIND: _S.BOUND,
            _T.RENEW: _S.BOUND,
            _T.KERNEL_LEFT: _S.ORPHANED,
            _T.END: _S.DRAINING,
            _T.LOST: _S.RELEASED,
            **_GONE,
        },
        _S.ORPHANED: {
            _T.BIND: _S.BOUND,
            _T.RENEW: _S.GRANTED,
            _T.END: _S.DRAINING,
            _T.LOST: _S.RELEASED,
            **_GONE,
        },
        _S.DRAINING: {
            _T.EMPTY: _S.RELEASED,
            _T.LOST: _S.RELEASED,
            _T.CONDEMNED: _S.RELEASED,
            **_GONE,
        },
        _S.RELEASED: {},
    }
)

USABLE = frozenset({_S.GRANTED, _S.BOUND, _S.ORPHANED})
"""States in which the lease's slice may be used by its owner."""

WITH_INSTANCE = frozenset({_S.CREATING, _S.DOOMED, _S.GRANTED, _S.BOUND, _S.ORPHANED, _S.DRAINING})
"""States in which the lease has exactly one instance."""


class EndReason(str, Enum):
    """Why a lease ended."""

    RELEASED = "released"
    CANCELLED = "cancelled"
    NO_ROOM = "no-room"
    OUT_OF_PATIENCE = "out-of-patience"
    UNKNOWN_SIZE = "unknown-size"
    NOT_ALLOWED = "not-allowed"
    OVER_QUOTA = "over-quota"
    LIFETIME = "lifetime"
    REVOKED = "revoked"
    HOLDER_LEFT = "holder-left"
    LOST = "lost"
    DRIVER = "driver-error"
    REBOOTED = "rebooted"


class Lease(msgspec.Struct):
    """One request for a slice and all that became of it.

    ``order`` is its place in line and is kept when a failed creation sends it back to the queue.
    ``requester`` is the process that asked (a Jupyter server, nbclient, a shell), ``kernel`` the
    one that computes. Times are seconds on the clock the events carry. ``deadline`` is when the
    present state is over by itself: patience while waiting, the grace while granted or orphaned.
    ``instead_of`` names the lease whose parked room this one may use (a resize).
    ``limits`` are what its owner is allowed.
    ``error`` keeps the driver's words when a lease ends because of it, or an administrator's.
    """

    lease_id: str
    kernel_id: str
    owner: int
    requester: Holder
    size: str
    label: str
    order: int
    requested_at: float
    patience_seconds: float | None
    instead_of: str = ""
    state: LeaseState = LeaseState.WAITING
    since: float = 0.0
    version: int = 0
    deadline: float | None = None
    instance_id: str | None = None
    granted_at: float | None = None
    requester_left: bool = False
    kernel: Holder | None = None
    kernel_pid: int | None = None
    attempts: int = 0
    reason: EndReason | None = None
    error: str = ""
    limits: Limits | None = None

    @property
    def expires_at(self) -> float | None:
        """When it is over at the latest, seconds on the events' clock; None while nothing has been
        granted, or for ever.
        """
        lifetime = self.limits.lifetime_seconds if self.limits else None
        if lifetime is None or self.granted_at is None or self.state not in USABLE:
            return None
        return self.granted_at + lifetime

    def move(self, trigger: Trigger, now: float) -> None:
        """Go where the table says; raises :class:`InvalidTransition` where it says nothing."""
        try:
            self.state = TRANSITIONS[self.state][trigger]
        except KeyError:
            raise InvalidTransition(self.lease_id, self.state, trigger) from None
        self.since = now
        self.deadline = None
        self.version += 1
