"""What travels through the part of the broker's door that is for administrators: ``/v1/admin``.

Points in time are Unix time, in seconds: they are compared with what others have recorded.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from jupyter_mig.wire.messages import LeaseStateName

Reason = Annotated[str, msgspec.Meta(max_length=500)]


class RevokeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``DELETE /v1/admin/leases/{id}``: take it away; ``reason`` is shown to its owner."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class ActRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The other acts of an administrator: why, for the audit log."""

    reason: Reason = ""


class AnyLeaseView(msgspec.Struct, frozen=True):
    """A lease as administrators see it. ``user`` is the name of ``uid``: that of an account, or
    ``hub:`` and that of a user of the Hub who has none; empty if it has no name.
    ``profile`` and the UUIDs are empty while it has no slice. Where a rule gives it a lifetime, it
    ends in ``ends_in_seconds``.
    """

    lease_id: str
    user: str
    uid: int
    label: str
    state: LeaseStateName
    size: str
    profile: str
    mig_uuid: str
    gpu_uuid: str
    gpu_index: int | None
    kernel_pid: int | None
    held_seconds: float
    ends_in_seconds: float | None = None


class UseView(msgspec.Struct, frozen=True):
    """What the slice of a lease has been used for. ``utilization`` is in per cent, the highest of
    the last 15 minutes, and None where nothing of it could be measured; ``processes`` are on it
    now, None if nobody can tell.
    """

    lease_id: str
    user: str
    uid: int
    held_seconds: float
    utilization: float | None
    processes: int | None


class DriverView(msgspec.Struct, frozen=True):
    """Whether the broker has the driver open."""

    driver: str
    open: bool


class OrphanView(msgspec.Struct, frozen=True):
    """An instance on a GPU that the broker cuts, and that it did not make as far as it knows.

    ``outside``: nobody is given it. Once adopted it is idle or held.
    """

    instance_id: str
    state: Literal["outside", "idle", "claiming", "held", "unresolved", "destroying", "condemned"]
    profile: str
    gpu_uuid: str
    gpu_index: int
    gi_id: int | None
    start: int | None
    mig_uuid: str


class Entry(msgspec.Struct, frozen=True):
    """One thing that happened, at a Unix time in seconds. ``by_uid`` is who did it, if not the user
    ``uid`` whose lease it is; None: nobody did.
    """

    at: float
    what: str
    uid: int | None = None
    lease: str = ""
    size: str = ""
    label: str = ""
    mig_uuid: str = ""
    gpu_uuid: str = ""
    reason: str = ""
    by_uid: int | None = None


class AuditView(Entry, frozen=True, kw_only=True):
    """An entry with the names of users; ``by`` is that of ``by_uid``."""

    user: str = ""
    by: str = ""


class Interval(msgspec.Struct, frozen=True):
    """A slice that was a lease's from ``since`` to ``until``, in Unix time; None: it still is."""

    lease: str
    uid: int
    size: str
    mig_uuid: str
    gpu_uuid: str
    since: float
    until: float | None
    reason: str | None


class IntervalView(Interval, frozen=True, kw_only=True):
    """An interval with the user's name."""

    user: str
