"""What the world shall do, as imperatives. The broker carries them out; each that touches the
driver is answered by one event.

========================  ==========================================
action                    answered by
========================  ==========================================
CreateInstance            InstanceCreated or CreateFailed
ClaimInstance             InstanceClaimed or ClaimFailed
DestroyInstance           InstanceDestroyed or DestroyFailed
ObserveOccupants          OccupantsObserved or OccupantsUnknown
ObserveGpu                GpuObserved or GpuFailed
LockInstance              nothing (a lock is taken again)
ReturnInstance            nothing (a lock is dropped)
SignalOccupants           nothing (the next observation tells)
Enqueue, Grant, Refuse,   nothing (somebody may be waiting to hear)
Park, End, Lose
========================  ==========================================
"""

from __future__ import annotations

from enum import Enum

import msgspec

from jupyter_mig.core.geometry import Identity, Spec
from jupyter_mig.core.leases import EndReason, Holder


class Action(msgspec.Struct, frozen=True, tag_field="action", tag=True, forbid_unknown_fields=True):
    """Base of all actions."""


class CreateInstance(Action, frozen=True):
    """Make an instance exactly there, for ``owner`` alone."""

    instance_id: str
    spec: Spec
    owner: int


class ClaimInstance(Action, frozen=True):
    """Lock an existing instance for ``owner`` alone and make sure that nobody is on it."""

    instance_id: str
    gpu_uuid: str
    identity: Identity
    owner: int


class LockInstance(Action, frozen=True):
    """Take the lock again on an instance that a lease has held since before the broker started."""

    instance_id: str
    gpu_uuid: str
    identity: Identity


class ReturnInstance(Action, frozen=True):
    """Drop the lock on an instance that stays."""

    instance_id: str
    gpu_uuid: str
    identity: Identity


class DestroyInstance(Action, frozen=True):
    """Destroy an instance that we made."""

    instance_id: str
    gpu_uuid: str
    identity: Identity


class ObserveOccupants(Action, frozen=True):
    """Ask the driver who is on the instance."""

    instance_id: str
    gpu_uuid: str
    identity: Identity


class Signal(str, Enum):
    """How hard to ask a process to leave."""

    TERM = "TERM"
    KILL = "KILL"


class SignalOccupants(Action, frozen=True):
    """Ask the owner's processes on the slice to leave: only ``pids`` that belong to ``owner`` and
    were started at or after ``started_after`` (seconds on the events' clock), or are ``kernel``,
    which the lease was bound to (``jupyter mig run`` becomes the program it got the slice for).
    """

    instance_id: str
    gpu_uuid: str
    identity: Identity
    owner: int
    pids: tuple[int, ...]
    started_after: float
    signal: Signal
    kernel: Holder | None = None


class ObserveGpu(Action, frozen=True):
    """Observe one GPU in full: what we believed of it has proved wrong."""

    gpu_uuid: str


class Enqueue(Action, frozen=True):
    """The request waits."""

    lease_id: str


class Grant(Action, frozen=True):
    """The slice is ready to be used."""

    lease_id: str


class Refuse(Action, frozen=True):
    """The request ended without a slice."""

    lease_id: str
    reason: EndReason


class Park(Action, frozen=True):
    """Room is kept for a resize of this lease."""

    lease_id: str
    size: str


class RefuseResize(Action, frozen=True):
    """The other size would not fit even with this lease's slice gone, or is more than its owner may
    have. Nothing was stopped.
    """

    lease_id: str
    size: str
    reason: EndReason = EndReason.NO_ROOM


class End(Action, frozen=True):
    """A lease that had a slice is over."""

    lease_id: str
    reason: EndReason


AnyAction = (
    CreateInstance
    | ClaimInstance
    | LockInstance
    | ReturnInstance
    | DestroyInstance
    | ObserveOccupants
    | SignalOccupants
    | ObserveGpu
    | Enqueue
    | Grant
    | Refuse
    | Park
    | RefuseResize
    | End
)
