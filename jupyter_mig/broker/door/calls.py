"""What can be asked at the door, as the OpenAPI document describes it: what goes in, what comes
out, and which errors instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.door.admin_routes import Between, OfUser, Since
from jupyter_mig.broker.door.lease_routes import Look
from jupyter_mig.wire import administration as admin
from jupyter_mig.wire import messages

LEASE_ID = "lease_id"

Errors: TypeAlias = tuple[type[errors.JupyterMigError], ...]

_ALWAYS: Errors = (
    errors.JupyterMigError,
    errors.BadRequest,
    errors.ForeignBroker,
    errors.NotAllowed,
    errors.TooMany,
    errors.Unauthenticated,
    errors.HubUnreachable,
)
"""Whatever is asked: by a bug, for a body or query that cannot be read, or of whom is asking."""

_UNLOGGED: Errors = (errors.BrokerUnreachable, errors.UnwritableLog, errors.CorruptLog)
"""What changes something is logged first."""

_DRIVER = tuple(errors.family(errors.DriverError))
_ANSWERS_NO = (*errors.family(errors.Refused), errors.UnknownSize, *_DRIVER)
"""Whatever a request may end with, told also to who looks at it later."""


class Call(msgspec.Struct, frozen=True):
    """One request: its name for programs, and for people; its types (``query`` is a struct of the
    URL's query); the ``errors`` that come besides those that always may. ``with_key``: the lease's
    key opens it.
    """

    name: str
    words: str
    answer: Any
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    errors: Errors = ()
    body_required: bool = True
    with_key: bool = False


class OfLease(msgspec.Struct, frozen=True):
    """The query of ``GET /v1/slice``."""

    lease: str


def _call(
    name: str,
    words: str,
    answer: Any,
    *,
    body: type[msgspec.Struct] | None = None,
    query: type[msgspec.Struct] | None = None,
    failing: Iterable[type[errors.JupyterMigError]] = (),
) -> Call:
    return Call(name, words, answer, body, query, (*_ALWAYS, *failing))


def _act(name: str, words: str, answer: Any, failing: Errors = ()) -> Call:
    """Something that an administrator does, and may say why."""
    failing = (*_ALWAYS, *_UNLOGGED, *failing)
    return Call(name, words, answer, admin.ActRequest, None, failing, body_required=False)


_MINE: Errors = (errors.UnknownLease,)
_HELD: Errors = (*_ANSWERS_NO, *_UNLOGGED)

_LEASE = f"/v1/leases/{{{LEASE_ID}}}"

_READING = {
    "GET /v1": _call("broker", "Who answers.", messages.BrokerView),
    "GET /v1/openapi.json": _call("openapi", "This description.", dict[str, Any]),
    "GET /v1/node": _call("node", "GPUs, slices, sizes.", messages.NodeView),
    "GET /v1/readings": _call(
        "readings", "What the slices are doing now.", messages.ReadingsView, failing=_DRIVER
    ),
    "GET /v1/history": _call(
        "history", "What your own slices did in the last minutes.", messages.HistoryView
    ),
    "GET /v1/slice": Call(
        "slice",
        "The slice of one lease, for whoever has its key; on TCP, too, with nothing else.",
        messages.SliceNowView,
        query=OfLease,
        errors=(*_ALWAYS, errors.UnknownLease, errors.LeaseEnded, *_DRIVER),
        with_key=True,
    ),
    "POST /v1/plan": _call(
        "plan",
        "Would these sizes fit together? Nothing is changed.",
        messages.PlanView,
        body=messages.PlanRequest,
        failing=_ANSWERS_NO,
    ),
}

_LEASES = {
    "GET /v1/leases": _call("leases", "Your live leases.", list[messages.LeaseView]),
    "POST /v1/leases": _call(
        "ask",
        "Ask for a slice.",
        messages.LeaseView,
        body=messages.LeaseRequest,
        failing=(*_ANSWERS_NO, *_UNLOGGED),
    ),
    "POST /v1/batches": _call(
        "ask_together",
        "Ask for several slices, planned together; their leases in the same order.",
        list[messages.LeaseView],
        body=messages.BatchRequest,
        failing=(*_ANSWERS_NO, *_UNLOGGED),
    ),
    f"GET {_LEASE}": _call(
        "lease",
        "One lease: at once, or when its version is not the one seen, or after the wait.",
        messages.LeaseView,
        query=Look,
        failing=_ANSWERS_NO,
    ),
    f"DELETE {_LEASE}": _call(
        "release",
        "Give it back, or take the request back. Doing so twice is harmless.",
        messages.LeaseView,
        failing=(*_MINE, *_UNLOGGED),
    ),
    f"GET {_LEASE}/key": _call("key", "What opens `/v1/slice`.", messages.KeyView, failing=_MINE),
    f"PUT {_LEASE}/kernel": _call(
        "bind",
        "Tie it to the kernel's process: yours, or a descendant of yours.",
        messages.LeaseView,
        body=messages.BindRequest,
        failing=_HELD,
    ),
    f"PUT {_LEASE}/heartbeat": _call(
        "beat",
        "Whatever the lease hangs on lives. For leases that have `heartbeat_seconds`.",
        messages.LeaseView,
        failing=(errors.UnknownLease, errors.LeaseEnded),
    ),
    f"POST {_LEASE}/renewal": _call(
        "renew",
        "The kernel will be started again, by the process that asks.",
        messages.LeaseView,
        failing=_HELD,
    ),
    f"POST {_LEASE}/resize": _call(
        "resize",
        "Keep room for another size while the old kernel goes.",
        messages.LeaseView,
        body=messages.ResizeRequest,
        failing=_HELD,
    ),
}

_ADMINISTRATION = {
    "GET /v1/admin/leases": _call(
        "all_leases", "Everybody's live leases.", list[admin.AnyLeaseView]
    ),
    "GET /v1/admin/node": _call(
        "node_of",
        "The node as a user sees it.",
        messages.NodeView,
        query=OfUser,
        failing=(errors.UnknownUser,),
    ),
    "GET /v1/admin/uses": _call(
        "uses",
        "Whether those who hold slices use them.",
        list[admin.UseView],
        failing=_DRIVER,
    ),
    "DELETE /v1/admin/leases/{lease_id}": _call(
        "revoke",
        "Take a lease away; its owner is told why.",
        admin.AnyLeaseView,
        body=admin.RevokeRequest,
        failing=(errors.UnknownLease, errors.LeaseEnded, *_UNLOGGED),
    ),
    "POST /v1/admin/gpus/{gpu_uuid}/drain": _act(
        "drain", "Start nothing new on that GPU.", messages.GpuView
    ),
    "DELETE /v1/admin/gpus/{gpu_uuid}/drain": _act(
        "undrain", "Use that GPU again.", messages.GpuView
    ),
    "POST /v1/admin/driver/release": _act(
        "release_driver",
        "Let go of the driver; all GPUs must be drained, and empty.",
        admin.DriverView,
        (errors.Refused, *_DRIVER),
    ),
    "DELETE /v1/admin/driver/release": _act(
        "take_up_driver", "Open it again.", admin.DriverView, _DRIVER
    ),
    "GET /v1/admin/orphans": _call(
        "orphans",
        "Instances that the broker did not make, as far as it knows.",
        list[admin.OrphanView],
    ),
    "POST /v1/admin/orphans/{instance_id}/adopt": _act(
        "adopt", "Hand it out as it is, from now on.", admin.OrphanView
    ),
    "POST /v1/admin/orphans/{instance_id}/destroy": _act(
        "destroy", "Destroy it, as soon as nobody is on it.", admin.OrphanView, _DRIVER
    ),
    "GET /v1/admin/audit": _call("audit", "What has happened.", list[admin.AuditView], query=Since),
    "GET /v1/admin/intervals": _call(
        "intervals",
        "Which slice was whose, and when.",
        list[admin.IntervalView],
        query=Between,
    ),
}

CALLS: Mapping[str, Call] = MappingProxyType({**_READING, **_LEASES, **_ADMINISTRATION})
"""Each request, as ``METHOD /path``."""
