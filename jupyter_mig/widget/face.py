"""What a monitor shows: the sight in steps that people can tell apart, and no finer.

A monitor sends only what looks different, and a kernel that sends nothing may be culled as idle. So
numbers move in steps, and only once they are a whole step off: what trembles does not show.
"""

from __future__ import annotations

import msgspec

from jupyter_mig.errors import BrokerUnreachable, LeaseEnded
from jupyter_mig.widget.current import CurrentSlice
from jupyter_mig.widget.curve import Curve, curve
from jupyter_mig.widget.reader import Sight
from jupyter_mig.wire.messages import SliceNowView, SliceReadingsView

GIB = 1 << 30
MEMORY_STEP_GIB = 0.1
UTILIZATION_STEP = 1.0

NEARLY_FULL = 0.9
"""From here on memory is marked. CUDA's own context takes hundreds of MiB that nobody plans for."""

ENDING_MINUTES = (10, 2)
"""So long before a rule ends the slice that is said. (Minute by minute would be news for ever.)"""

_UTILIZATION = {"sm": "SM", "graphics": "Graphics", "tensor": "Tensor", "dram": "DRAM"}


class Gauge(msgspec.Struct, frozen=True):
    """One quantity. ``share`` is 0 to 1; None: not available, for the reason in ``words``."""

    name: str
    words: str
    share: float | None = None
    source: str = ""
    warning: str = ""
    curve: Curve = ()


class Face(msgspec.Struct, frozen=True):
    """All that a monitor shows. ``stale``: the gauges are of the last look that succeeded."""

    title: str
    gpu_name: str = ""
    simulated: bool = False
    gauges: tuple[Gauge, ...] = ()
    notes: tuple[str, ...] = ()
    stale: bool = False


NO_SLICE = Face("No slice", notes=("This program was not started on a MIG slice.",))


class Portrait:
    """Draws faces of one slice, each with an eye on the one before."""

    def __init__(self, mine: CurrentSlice) -> None:
        self._mine = mine
        self._shown: dict[str, float] = {}

    def face(self, sight: Sight, now_seconds: float) -> Face:
        """The face at ``now_seconds``, on any clock that does not jump."""
        unreachable = isinstance(sight.trouble, BrokerUnreachable)
        seen = sight.seen if sight.trouble is None or unreachable else None
        return Face(
            title=self.title,
            gpu_name=self._mine.gpu_name,
            simulated=self._mine.simulated or (seen is not None and seen.simulated),
            gauges=self._gauges(seen, now_seconds) if seen is not None else self._size(sight),
            notes=self._notes(sight),
            stale=unreachable and seen is not None,
        )

    @property
    def title(self) -> str:
        """The size and where it is."""
        where = "" if self._mine.gpu_index is None else f" on GPU {self._mine.gpu_index}"
        return f"{self._mine.profile or self._mine.mig_uuid}{where}"

    def _size(self, sight: Sight) -> tuple[Gauge, ...]:
        """What the environment tells of the memory, while it is ours."""
        if self._mine.memory_bytes is None or isinstance(sight.trouble, LeaseEnded):
            return ()
        return (Gauge("Memory", f"{self._mine.memory_bytes / GIB:.1f} GiB in all"),)

    def _notes(self, sight: Sight) -> tuple[str, ...]:
        instead = self._mine.instead_of
        notes = [f"Asked for {instead}, which this node lacks."] if instead else []
        notes += _ending(sight.seen) if sight.trouble is None else ()
        if sight.trouble is not None:
            notes.append(sight.trouble.message)
            if isinstance(sight.trouble, BrokerUnreachable) and sight.seen is not None:
                notes.append("The slice is still yours. These are the last readings.")
            else:
                notes += filter(None, (sight.trouble.situation, sight.trouble.next_step))
        return tuple(notes)

    def _gauges(self, seen: SliceNowView, now_seconds: float) -> tuple[Gauge, ...]:
        readings = seen.readings
        if readings is None:
            nothing = "not available: nothing was read yet"
            return (Gauge("Memory", nothing), Gauge("Utilization", nothing))
        return (self._memory(seen, readings, now_seconds), *self._busy(seen, readings, now_seconds))

    def _memory(self, seen: SliceNowView, readings: SliceReadingsView, now_seconds: float) -> Gauge:
        used, total = readings.memory_used_bytes, readings.memory_total_bytes
        if used is None or not total:
            return Gauge("Memory", f"not available: {readings.memory_not_available}")
        used_gib = self._settled("memory", used / GIB, MEMORY_STEP_GIB)
        share = min(used_gib * GIB / total, 1.0)
        points = [
            (one.age_seconds, one.memory_used_bytes / total)
            for one in seen.points
            if one.memory_used_bytes is not None
        ]
        return Gauge(
            name="Memory",
            words=f"{used_gib:.1f} of {total / GIB:.1f} GiB",
            share=share,
            warning="nearly full" if share >= NEARLY_FULL else "",
            curve=curve(points, now_seconds),
        )

    def _busy(
        self, seen: SliceNowView, readings: SliceReadingsView, now_seconds: float
    ) -> tuple[Gauge, ...]:
        measured = [name for name in _UTILIZATION if name in readings.utilization]
        if not measured:
            why = readings.utilization_not_available or "this broker does not measure it"
            return (Gauge("Utilization", f"not available: {why}"),)
        points = [
            (one.age_seconds, one.utilization / 100)
            for one in seen.points
            if one.utilization is not None
        ]
        line = curve(points, now_seconds)
        gauges = [self._percent(name, readings) for name in measured]
        return (msgspec.structs.replace(gauges[0], curve=line), *gauges[1:])

    def _percent(self, name: str, readings: SliceReadingsView) -> Gauge:
        percent = self._settled(name, readings.utilization[name], UTILIZATION_STEP)
        return Gauge(
            name=_UTILIZATION[name],
            words=f"{percent:.0f} %",
            share=min(max(percent / 100, 0.0), 1.0),
            source=readings.utilization_source,
        )

    def _settled(self, name: str, value: float, step: float) -> float:
        shown = self._shown.get(name)
        if shown is None or abs(value - shown) >= step:
            shown = self._shown[name] = round(value / step) * step
        return shown


def _ending(seen: SliceNowView | None) -> tuple[str, ...]:
    """That a rule ends the slice soon."""
    left = seen.ends_in_seconds if seen is not None else None
    near = [minutes for minutes in ENDING_MINUTES if left is not None and left <= minutes * 60]
    if seen is None or not near:
        return ()
    return (f"The slice ends in less than {near[-1]} minutes, by {seen.rule}: save what you need.",)
