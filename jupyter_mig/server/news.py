"""What is worth telling about the slices of a server's kernels, from one look to the next.

Pure: what was seen goes in, what to tell comes out. A :class:`Course` is what is remembered of a
kernel between two looks, above all what was told already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec
from msgspec.structs import replace

from jupyter_mig.errors import Cancelled
from jupyter_mig.wire.messages import ErrorBody, LeaseView, SliceReadingsView

WAIT_SECONDS = 3.0
"""Shorter waits are nobody's news."""

NEARLY_FULL = 0.9
EMPTIER = 0.8
"""Fullness is told again only after less than this was in use."""

UNUSED_PERCENT = 1.0
"""A slice of which less is in use, by any measure, is not used."""

ENDING_SECONDS = (600.0, 120.0)
"""So long before a slice ends by a rule it is told that it will."""

Kind = Literal["granted", "waiting", "refused", "ending", "released", "lost", "nearly-full", "idle"]

_USABLE = ("granted", "bound", "orphaned")


class News(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event, as ``schemas/slice.yaml`` describes it."""

    kind: Kind
    kernel_id: str
    lease_id: str
    size: str
    label: str
    message: str
    next_step: str
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    place: int | None = None
    idle_seconds: float | None = None
    ends_in_seconds: float | None = None


class KernelNow(msgspec.Struct, frozen=True):
    """What the server knows of a kernel with our provisioner.

    ``lease_id`` is the lease that it goes by, ``waiting_since`` when its wait under way began,
    ``idle_seconds`` for how long it has not computed (None: it does), ``failure`` why it was not
    started, ``died`` that Jupyter gave it up, ``ending`` that it is being stopped.
    """

    kernel_id: str
    lease_id: str = ""
    waiting_since: float | None = None
    idle_seconds: float | None = None
    failure: ErrorBody | None = None
    died: bool = False
    ending: bool = False


class Moment(msgspec.Struct, frozen=True):
    """One look. ``at`` is on the monotonic clock.

    ``readings`` are by lease. ``ended`` has the leases that kernels go by and that are over, with
    the reason if there is one. ``problems`` are those of GPUs, by UUID.
    """

    at: float
    kernels: Sequence[KernelNow] = ()
    leases: Sequence[LeaseView] = ()
    readings: Mapping[str, SliceReadingsView] = MappingProxyType({})
    ended: Mapping[str, ErrorBody | None] = MappingProxyType({})
    problems: Mapping[str, ErrorBody] = MappingProxyType({})


class Course(msgspec.Struct, frozen=True):
    """What is remembered of a kernel. ``lease`` is as seen last; the other fields belong to it."""

    lease: LeaseView | None = None
    waiting_since: float | None = None
    unused_since: float | None = None
    told: frozenset[str] = frozenset()


class _Look(msgspec.Struct, frozen=True):
    """A kernel in one look."""

    moment: Moment
    kernel: KernelNow
    lease: LeaseView | None
    idle_after_seconds: float

    @property
    def reading(self) -> SliceReadingsView | None:
        return self.moment.readings.get(self.lease.lease_id) if self.lease else None


_Told = tuple[News | None, Course]


def news(
    before: Mapping[str, Course], now: Moment, idle_after_seconds: float = 0
) -> tuple[list[News], dict[str, Course]]:
    """What to tell after this look, and what to remember until the next; by kernel id.

    ``idle_after_seconds`` is how long a slice may be unused before that is told; 0: for ever.
    """
    leases = {lease.kernel_id: lease for lease in now.leases}
    told: list[News] = []
    after: dict[str, Course] = {}
    for kernel in now.kernels:
        lease = leases.get(kernel.kernel_id)
        look = _Look(now, kernel, lease, idle_after_seconds)
        course = _with_lease(before.get(kernel.kernel_id, Course()), lease)
        for topic in _TOPICS:
            item, course = topic(course, look)
            if item is not None:
                told.append(item)
        if not kernel.died:
            after[kernel.kernel_id] = course
    return told, after


def _with_lease(course: Course, lease: LeaseView | None) -> Course:
    """The same course, or, with another lease, a new one."""
    if lease is None:
        return course
    if course.lease is None or course.lease.lease_id != lease.lease_id:
        return Course(lease)
    return replace(course, lease=lease)


# ---- the topics


def _line(course: Course, look: _Look) -> _Told:
    """Waiting, and the end of it."""
    since, lease = look.kernel.waiting_since, look.lease
    if lease is not None and since is not None and lease.state in ("waiting", "creating"):
        course = replace(course, waiting_since=since)
        if lease.state == "waiting" and look.moment.at - since >= WAIT_SECONDS:
            return _once(course, "waiting", lambda: _waiting(lease))
    elif lease is not None and course.waiting_since is not None and lease.state in _USABLE:
        waited = look.moment.at - course.waiting_since
        course = replace(course, waiting_since=None)
        if waited >= WAIT_SECONDS:
            return _once(course, "granted", lambda: _granted(lease, waited))
    return None, course


def _failure(course: Course, look: _Look) -> _Told:
    failure = look.kernel.failure
    if failure is None or look.kernel.died:
        return None, course
    course = replace(course, waiting_since=None)
    if failure.kind == Cancelled.kind:  # its user knows
        return None, course
    return _once(course, "refused", lambda: _refused(course, look.kernel, failure))


def _end(course: Course, look: _Look) -> _Told:
    """The end of a slice that its user did not ask for."""
    kernel, lease = look.kernel, course.lease
    if lease is None or kernel.ending:
        return None, course
    failure = kernel.failure
    if kernel.died and failure is not None:  # why it was not started once more
        return _once(course, "lost", lambda: _lost(lease, failure))
    if kernel.died:
        return _once(course, "released", lambda: _died(lease))
    if kernel.lease_id != lease.lease_id or lease.lease_id not in look.moment.ended:
        return None, course
    reason = look.moment.ended[lease.lease_id]
    if reason is None:
        return _once(course, "released", lambda: _taken_back(lease))
    return _once(course, "lost", lambda: _lost(lease, reason))


def _time(course: Course, look: _Look) -> _Told:
    """That the slice will end by a rule; of one that is that short, at once."""
    lease = look.lease
    if lease is None or lease.ends_in_seconds is None or lease.state not in _USABLE:
        return None, course
    left = lease.ends_in_seconds
    passed = [f"ending {seconds:.0f}" for seconds in ENDING_SECONDS if left <= seconds]
    if not passed or passed[-1] in course.told:
        return None, course
    course = replace(course, told=course.told | set(passed))
    return _ending(lease, left), course


def _problem(course: Course, look: _Look) -> _Told:
    """A problem that a GPU has got under a slice."""
    lease = look.lease
    if lease is None or lease.slice is None:
        return None, course
    problem = look.moment.problems.get(lease.slice.gpu_uuid)
    if problem is None:
        return None, replace(course, told=course.told - {"problem"})
    return _once(course, "problem", lambda: _troubled(lease, problem))


def _memory(course: Course, look: _Look) -> _Told:
    reading, lease = look.reading, look.lease
    if reading is None or lease is None or lease.state not in _USABLE:
        return None, course
    used, total = reading.memory_used_bytes, reading.memory_total_bytes
    if used is None or not total:
        return None, course
    if used < EMPTIER * total:
        return None, replace(course, told=course.told - {"nearly-full"})
    if used < NEARLY_FULL * total:
        return None, course
    return _once(course, "nearly-full", lambda: _nearly_full(lease, used, total))


def _use(course: Course, look: _Look) -> _Told:
    lease = look.lease
    if lease is None or lease.state not in _USABLE:
        return None, course
    since = _unused_since(course, look)
    if since is None:
        return None, replace(course, unused_since=None, told=course.told - {"idle"})
    course = replace(course, unused_since=since)
    unused = look.moment.at - since
    if not 0 < look.idle_after_seconds <= unused:
        return None, course
    return _once(course, "idle", lambda: _idle(lease, unused, look.reading))


def _unused_since(course: Course, look: _Look) -> float | None:
    """Since when the slice is unused as measured or, where it is not, the kernel. None: used."""
    reading, at = look.reading, look.moment.at
    if reading is not None and reading.utilization:
        if max(reading.utilization.values()) >= UNUSED_PERCENT:
            return None
        return at if course.unused_since is None else course.unused_since
    idle_seconds = look.kernel.idle_seconds
    return None if idle_seconds is None else at - idle_seconds


_TOPICS = (_line, _failure, _end, _time, _problem, _memory, _use)


def _once(course: Course, topic: str, tell: Callable[[], News]) -> _Told:
    if topic in course.told:
        return None, course
    return tell(), replace(course, told=course.told | {topic})


# ---- the words


def _about(lease: LeaseView, kind: Kind, message: str, next_step: str = "") -> News:
    return News(kind, lease.kernel_id, lease.lease_id, lease.size, lease.label, message, next_step)


def _waiting(lease: LeaseView) -> News:
    if lease.over_quota:
        message = f"{_name(lease)} waits for a {lease.size} slice until one of yours ends."
        return _about(lease, "waiting", message, lease.over_quota)
    place = f", {_ordinal(lease.place)} in line" if lease.place else ""
    message = f"{_name(lease)} waits for a {lease.size} slice{place}."
    item = _about(lease, "waiting", message, "Cells that you run meanwhile are queued.")
    return replace(item, place=lease.place)


def _granted(lease: LeaseView, waited: float) -> News:
    message = f"{_name(lease)} has its {lease.size} slice, after {_duration(waited)} in line."
    return _about(lease, "granted", message)


def _refused(course: Course, kernel: KernelNow, failure: ErrorBody) -> News:
    lease = course.lease
    return News(
        "refused",
        kernel.kernel_id,
        lease.lease_id if lease else "",
        lease.size if lease else "",
        lease.label if lease else "",
        failure.message,
        " ".join(filter(None, (failure.situation, failure.next_step))),
    )


def _died(lease: LeaseView) -> News:
    message = f"The kernel of {_name(lease)} died for good; its {lease.size} slice is free again."
    return _about(lease, "released", message, "Start the kernel again if you need it.")


def _taken_back(lease: LeaseView) -> News:
    message = f"The {lease.size} slice of {_name(lease)} was given back; its kernel has none now."
    return _about(lease, "released", message, "Restart the kernel to get another.")


def _lost(lease: LeaseView, reason: ErrorBody) -> News:
    message = f"{_name(lease)} has lost its slice. {_sentence(reason.message)}"
    return _about(lease, "lost", message, reason.next_step or "Restart the kernel to get another.")


def _ending(lease: LeaseView, left: float) -> News:
    by = f" by {lease.rule}" if lease.rule else ""
    message = f"The {lease.size} slice of {_name(lease)} ends in {_duration(left)}{by}."
    item = _about(lease, "ending", message, "Save what you need: its kernel ends with it.")
    return replace(item, ends_in_seconds=left)


def _troubled(lease: LeaseView, problem: ErrorBody) -> News:
    message = f"{_name(lease)}: its GPU has a problem. {problem.message}"
    return _about(lease, "lost", message, problem.next_step)


def _nearly_full(lease: LeaseView, used: int, total: int) -> News:
    message = f"{_name(lease)} uses {_bytes(used)} of the {_bytes(total)} of its slice."
    item = _about(lease, "nearly-full", message, "Free some, or change to a larger size.")
    return replace(item, memory_used_bytes=used, memory_total_bytes=total)


def _idle(lease: LeaseView, unused: float, reading: SliceReadingsView | None) -> News:
    used = reading.memory_used_bytes if reading is not None else None
    holding = f", with {_bytes(used)} in use on it" if used else ""
    message = f"{_name(lease)} holds a {lease.size} slice{holding}, unused for {_duration(unused)}."
    item = _about(lease, "idle", message, "Shutting its kernel down frees it.")
    return replace(item, memory_used_bytes=used, idle_seconds=unused)


def _sentence(text: str) -> str:
    """An administrator's reason need not end with a full stop."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _name(lease: LeaseView) -> str:
    return lease.label.rpartition("/")[2] or f"Kernel {lease.kernel_id[:8]}"


def _ordinal(place: int) -> str:
    if place == 1:
        return "next"
    teen = place % 100 in (11, 12, 13)
    return f"{place}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(place % 10, 'th')}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _bytes(count: int) -> str:
    gibibytes = count / 2**30
    return f"{gibibytes:.1f} GiB" if gibibytes >= 0.1 else f"{count / 2**20:.0f} MiB"
