"""A picture as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jupyter_mig.cli import drawing, table
from jupyter_mig.cli.cells import clip, printable
from jupyter_mig.cli.drawing import Look
from jupyter_mig.cli.label import heading
from jupyter_mig.cli.leases import title, waiting
from jupyter_mig.cli.measures import counted, duration, memory
from jupyter_mig.cli.table import Column
from jupyter_mig.cli.terminal import Ink, Terminal
from jupyter_mig.cli.top.picture import Picture
from jupyter_mig.wire.messages import GpuView, InstanceView, LeaseView, SliceReadingsView

_COLUMNS = (
    Column("GPU", right=True),
    Column("SIZE"),
    Column("IN USE", right=True),
    Column("OF", right=True),
    Column(""),
    Column("BUSY", right=True),
    Column("NOTEBOOK", least=8, tail=True),
    Column("STATE"),
    Column("HELD", right=True),
)
_METER = 10
"""Cells of the bar that shows how full a slice is."""
_NO_READING = SliceReadingsView("", memory_not_available="the broker has not read it")


def lines(picture: Picture, terminal: Terminal) -> Iterator[str]:
    """GPUs drawn to scale, a table of slices, who waits."""
    node = picture.node
    yield from heading(terminal, simulated=node.simulated)
    yield clip(f"{node.driver}, broker pid {picture.broker.pid}", terminal.breadth, terminal.mark)
    for gpu in node.gpus:
        yield from _gpu(gpu, terminal)
    yield ""
    yield from _slices(picture, terminal)
    for line in _waiting(picture):
        yield clip(line, terminal.breadth, terminal.mark)


def _waiting(picture: Picture) -> Iterator[str]:
    """One line for each request of the viewer's own; those of others are counted."""
    mine = [lease for lease in picture.leases if lease.state == "waiting"]
    yield from (waiting(lease) for lease in mine)
    others = picture.node.waiting - len(mine)
    if others > 0:
        yield f"{counted(others, 'request')} of others waiting"


def _gpu(gpu: GpuView, terminal: Terminal) -> Iterator[str]:
    text = f"GPU {gpu.index}  {printable(gpu.name)}, {memory(gpu.memory_bytes)}"
    problem = f": {printable(gpu.problem)}" if gpu.problem else ""
    ink = Ink.WRONG if gpu.problem else Ink.STRONG
    yield terminal.paint(clip(text + problem, terminal.breadth, terminal.mark), ink)
    parts = drawing.stretches(gpu, room=Look.FREE if gpu.mode == "dynamic" else Look.NOTHING)
    if parts and gpu.units and terminal.breadth > 2 * sum(part.units for part in parts):
        yield drawing.bar(parts, terminal)


def _slices(picture: Picture, terminal: Terminal) -> Iterator[str]:
    readings = {one.instance_id: one for one in picture.readings.slices}
    leases = {lease.lease_id: lease for lease in picture.leases}
    rows, reasons = [], dict[str, None]()
    for gpu in picture.node.gpus:
        for instance in gpu.instances:
            reading = readings.get(instance.instance_id, _NO_READING)
            rows.append(_row(gpu, instance, reading, leases, terminal))
            reasons.update(dict.fromkeys(_reasons(reading)))
    if not rows:
        yield clip("No slices.", terminal.breadth, terminal.mark)
        return
    yield from table.lines(_COLUMNS, rows, terminal)
    for reason in reasons:
        yield clip(f"- not available: {printable(reason)}", terminal.breadth, terminal.mark)


def _reasons(reading: SliceReadingsView) -> Iterator[str]:
    """Why there is a dash instead of a value."""
    if reading.memory_not_available:
        yield reading.memory_not_available
    elif reading.utilization_not_available:
        yield f"BUSY: {reading.utilization_not_available}"


def _row(
    gpu: GpuView,
    instance: InstanceView,
    reading: SliceReadingsView,
    leases: Mapping[str, LeaseView],
    terminal: Terminal,
) -> list[str]:
    lease = leases.get(instance.lease_id or "")
    return [
        str(gpu.index),
        instance.profile,
        *_memory(reading, instance, terminal),
        _busy(reading),
        title(lease) if lease else "",
        lease.state if lease else instance.state,
        duration(lease.held_seconds) if lease else "",
    ]


def _memory(
    reading: SliceReadingsView, instance: InstanceView, terminal: Terminal
) -> tuple[str, str, str]:
    used, total = reading.memory_used_bytes, reading.memory_total_bytes
    if used is None or not total:
        return "-", memory(instance.memory_bytes), ""
    full, empty = ("█", "·") if terminal.utf8 else ("#", ".")
    cells = min(round(used / total * _METER), _METER)
    return memory(used), memory(total), full * cells + empty * (_METER - cells)


def _busy(reading: SliceReadingsView) -> str:
    """Per cent of the multiprocessors, or where those were not measured of the time."""
    percent = reading.utilization.get("sm", reading.utilization.get("graphics"))
    return "-" if percent is None else f"{percent:.0f}%"
