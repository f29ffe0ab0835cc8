"""What travels through the broker's door: requests, views and errors.

Requests refuse unknown fields (strict input). Views tolerate them, so that a client of version N
reads a broker of version N+1; fields are only ever added, with a default. The path carries the
protocol version (``/v1/…``).

Times in views are seconds relative to the moment of the answer: no clock is shared.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

PROTOCOL = 1


def understands(protocol: int) -> bool:
    """Whether who speaks that protocol and we understand each other: neighbours do."""
    return abs(protocol - PROTOCOL) <= 1


Name = Annotated[
    str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")
]
"""No control characters: names are shown in terminals."""
Size = Annotated[Name, msgspec.Meta(examples=["1g.5gb", "20gb+"])]
Seconds = Annotated[float, msgspec.Meta(ge=0)]

LeaseStateName = Literal[
    "waiting", "creating", "doomed", "granted", "bound", "orphaned", "draining", "released"
]


class LeaseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """``POST /v1/leases``: ask for a slice.

    ``kernel_id`` is the idempotency key: asking twice gives the same lease. ``size`` is a profile
    name, a requirement (``20gb+``) or an admin's name. ``patience_seconds`` bounds the time in the
    queue (0: now or never; None: for ever). The answer may be held back up to ``wait_seconds``
    while the lease is waiting or being made. ``label`` is what the user calls it: the notebook.
    ``instead_of`` names the lease of a resize whose parked room may be used. ``silence_seconds``
    is how long the lease shall outlive its holder's heartbeats, if it hangs on them, within the
    broker's bound (None: as usual). Defaults are not sent: an older broker need not know them.
    """

    kernel_id: Name
    size: Size
    label: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    patience_seconds: Seconds | None = 0
    wait_seconds: Seconds = 0
    instead_of: Annotated[str, msgspec.Meta(max_length=200)] = ""
    silence_seconds: Seconds | None = None


MOST_REQUESTS = 128
"""How many requests one batch may hold. With labels as long as a line each they fit in a body."""


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /v1/batches``: ask for several slices at once, which are planned together, the largest
    first. The answer, a lease for each request in their order, is never held back.
    """

    requests: Annotated[
        tuple[LeaseRequest, ...], msgspec.Meta(min_length=1, max_length=MOST_REQUESTS)
    ]


class BindRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``PUT /v1/leases/{id}/kernel``: tie a granted lease to the kernel process."""

    pid: Annotated[int, msgspec.Meta(ge=1)]


class ResizeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /v1/leases/{id}/resize``: keep room for ``size`` while the old kernel goes."""

    size: Size


class SliceView(msgspec.Struct, frozen=True):
    """The slice a lease holds. ``mig_uuid`` is what goes into ``CUDA_VISIBLE_DEVICES``.

    A whole GPU (``whole_gpu``) has its own UUID there, and NVML's number for "none" as ``gi_id``.
    ``access_nodes`` are the device nodes that the broker has locked for it: whatever is started on
    the slice locks them too, shared. ``near_cpus`` is the list of CPUs of the broker's machine that
    are near the GPU, such as ``0-15,64-79``; empty: not known.
    """

    mig_uuid: str
    profile: str
    memory_bytes: int
    multiprocessors: int
    gpu_uuid: str
    gpu_index: int
    gpu_name: str
    gi_id: int
    start: int | None = None
    whole_gpu: bool = False
    access_nodes: tuple[str, ...] = ()
    near_cpus: str = ""


class SizeCount(msgspec.Struct, frozen=True):
    """So many of one size. ``free`` more could start now for whoever asks, ``total`` fit on an
    empty node, ``unclaimed`` are free on this one whoever may have them (None: an older broker).
    ``models`` are the GPUs that have it, each name once.

    ``not_allowed``: why the asker may never have it: an administrator's rule. ``over_quota``: why
    he must give something back first. ``instead_of`` are the leases of his in place of which he may
    have it all the same.
    """

    size: str
    free: int
    total: int
    memory_bytes: int
    multiprocessors: int
    width: int
    models: tuple[str, ...] = ()
    unclaimed: int | None = None
    not_allowed: str = ""
    over_quota: str = ""
    instead_of: tuple[str, ...] = ()


class AllowanceView(msgspec.Struct, frozen=True):
    """The rule of an administrator's that means the asker: its name, what it allows, and what he
    holds, in words.
    """

    rule: str
    allows: str
    holds: str


class Mine(msgspec.Struct, frozen=True):
    """A lease of the asker's own that is in the way, with how long it has held its slice."""

    lease_id: str
    label: str
    profile: str
    held_seconds: float
    would_make_room: bool = False


class ErrorBody(msgspec.Struct, frozen=True):
    """An error on the wire: ``kind`` names the class in :mod:`jupyter_mig.errors`."""

    kind: str
    message: str
    situation: str = ""
    next_step: str = ""


class LeaseView(msgspec.Struct, frozen=True):
    """A lease as its owner sees it.

    ``version`` rises with each change; a long poll names the one it has seen. ``place`` is 1 for
    the head of the queue. ``estimate_seconds`` is None when nobody can know: a slice in use ends
    when its user ends it. ``refusal`` says why a released lease ended badly, ``end_reason`` in a
    word. Where the broker cannot see who asked, ``heartbeat_seconds`` is how often to say that he
    lives; after ``silence_seconds`` without that it is over. ``over_quota`` says why it waits if
    its owner must give something back first. ``rule`` is the administrator's that it is under; if
    that gives it a lifetime, it ends in ``ends_in_seconds``, whatever runs on it.
    """

    lease_id: str
    kernel_id: str
    state: LeaseStateName
    version: int
    size: str
    label: str
    held_seconds: float
    slice: SliceView | None = None
    kernel_pid: int | None = None
    place: int | None = None
    estimate_seconds: float | None = None
    gives_up_in_seconds: float | None = None
    refusal: ErrorBody | None = None
    mine: bool = True
    heartbeat_seconds: float | None = None
    over_quota: str = ""
    rule: str = ""
    ends_in_seconds: float | None = None
    end_reason: str = ""
    silence_seconds: float | None = None


class InstanceView(msgspec.Struct, frozen=True):
    """One instance on a GPU and what it is doing, for drawing the GPU to scale.

    ``state`` is creating, claiming, held, idle, destroying, condemned, unresolved or outside;
    in the answer to a plan also planned.
    """

    profile: str
    memory_bytes: int
    state: str
    start: int | None = None
    width: int | None = None
    lease_id: str | None = None
    label: str = ""
    mine: bool = False
    suspects: tuple[int, ...] = ()
    instance_id: str = ""


class RoomView(msgspec.Struct, frozen=True):
    """``width`` neighbouring free memory units from ``start``, and the sizes of which one could be
    made within them now.
    """

    start: int
    width: int
    sizes: tuple[str, ...] = ()


class GpuView(msgspec.Struct, frozen=True):
    """One GPU, its instances, what is free between them, and why it cannot be used if it cannot.

    ``inventory`` is dynamic, static, visible or full, and ``why`` the reason for that. ``notes``
    are what a person should know: what is not available, which hints were not heeded.
    ``next_step`` belongs to ``problem``. ``drained``: the problem is that an administrator wants
    nothing new there; slices that are held there are well.
    """

    uuid: str
    index: int
    name: str
    memory_bytes: int
    units: int
    mode: Literal["dynamic", "static", "unusable"]
    instances: tuple[InstanceView, ...] = ()
    problem: str = ""
    rooms: tuple[RoomView, ...] = ()
    next_step: str = ""
    inventory: str = ""
    why: str = ""
    notes: tuple[str, ...] = ()
    drained: bool = False


class NodeView(msgspec.Struct, frozen=True):
    """``GET /v1/node``: the whole picture: GPUs, what is free by size, how many wait.

    ``allowance`` is None where no rule limits the asker, or where it cannot be found out now: then
    ``allowance_not_available`` says why, and nobody's limits are counted in.
    """

    driver: str
    simulated: bool
    gpus: tuple[GpuView, ...]
    sizes: tuple[SizeCount, ...]
    waiting: int
    allowance: AllowanceView | None = None
    allowance_not_available: str = ""


class SliceReadingsView(msgspec.Struct, frozen=True):
    """What was read of the instance with that id in :class:`InstanceView`; None or empty: not
    available, and why.

    ``utilization`` is in per cent of the slice, 0 to 100, by ``sm``, ``graphics``, ``tensor`` and
    ``dram`` (memory bandwidth): those that were measured. ``utilization_source`` is GPM or
    dcgm-exporter. ``processes`` counts CUDA processes on the slice.
    """

    instance_id: str
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    memory_not_available: str = ""
    utilization: dict[str, float] = {}
    utilization_source: str = ""
    utilization_not_available: str = ""
    processes: int | None = None
    processes_not_available: str = ""


class GpuReadingsView(msgspec.Struct, frozen=True):
    """What was read of a GPU: all its slices share it. None: not available, and why."""

    gpu_uuid: str
    power_watts: float | None = None
    temperature_celsius: float | None = None
    not_available: str = ""


class ReadingsView(msgspec.Struct, frozen=True):
    """``GET /v1/readings``: one pass over all slices, taken ``age_seconds`` ago."""

    age_seconds: float
    simulated: bool
    slices: tuple[SliceReadingsView, ...]
    gpus: tuple[GpuReadingsView, ...] = ()


class HistoryPoint(msgspec.Struct, frozen=True):
    """A slice as it was ``age_seconds`` ago. ``utilization`` is in per cent: of the SMs where that
    was measured, else of graphics.
    """

    age_seconds: float
    memory_used_bytes: int | None = None
    utilization: float | None = None


class LeaseHistoryView(msgspec.Struct, frozen=True):
    """The last minutes of a lease since it was granted, the oldest point first."""

    lease_id: str
    points: tuple[HistoryPoint, ...] = ()


class HistoryView(msgspec.Struct, frozen=True):
    """``GET /v1/history``: the asker's own leases. Points are ``step_seconds`` apart or more."""

    step_seconds: float
    leases: tuple[LeaseHistoryView, ...] = ()


class KeyView(msgspec.Struct, frozen=True):
    """``GET /v1/leases/{id}/key``: what opens ``GET /v1/slice`` for the lease, and no more."""

    lease_id: str
    key: str


class SliceNowView(msgspec.Struct, frozen=True):
    """``GET /v1/slice``: the slice of one lease and what it is doing, for whoever has its key.

    ``readings`` and ``gpu`` (which all slices of that GPU share) were taken ``age_seconds`` ago;
    None: there is nothing to read yet, or any more. ``points`` are the last minutes, the oldest
    first. ``rule`` and ``ends_in_seconds`` are as in :class:`LeaseView`.
    """

    lease_id: str
    state: LeaseStateName
    size: str
    slice: SliceView | None = None
    readings: SliceReadingsView | None = None
    gpu: GpuReadingsView | None = None
    simulated: bool = False
    age_seconds: float = 0.0
    points: tuple[HistoryPoint, ...] = ()
    rule: str = ""
    ends_in_seconds: float | None = None


class PlanRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /v1/plan``: would these sizes fit together? ``gpu`` is part of a model's name: on
    those GPUs alone. Nothing is changed by asking.
    """

    sizes: Annotated[tuple[Size, ...], msgspec.Meta(min_length=1, max_length=MOST_REQUESTS)]
    gpu: Annotated[str, msgspec.Meta(max_length=200)] = ""


class PlannedSlice(msgspec.Struct, frozen=True):
    """Where one slice of a mix would be. ``size`` is what was asked for, ``profile`` what it is."""

    size: str
    profile: str
    gpu_uuid: str
    gpu_index: int
    start: int | None = None


class LeftOver(msgspec.Struct, frozen=True):
    """A size of the mix for which there is no place, and why, for people."""

    size: str
    why: str


class Outline(msgspec.Struct, frozen=True):
    """A mix as it would be placed. In ``gpus`` its instances have the state ``planned``."""

    fits: bool
    slices: tuple[PlannedSlice, ...]
    left_over: tuple[LeftOver, ...]
    gpus: tuple[GpuView, ...]


class PlanView(msgspec.Struct, frozen=True):
    """The mix as things are now, and on the node with nobody on it."""

    now: Outline
    empty: Outline


class BrokerView(msgspec.Struct, frozen=True):
    """``GET /v1``: who answers."""

    protocol: int
    version: str
    driver: str
    simulated: bool
    pid: int
    uid: int
    boundary: bool = False
