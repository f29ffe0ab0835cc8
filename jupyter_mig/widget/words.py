"""A face in one line, for terminals and for notebooks that are read without a kernel."""

from __future__ import annotations

from jupyter_mig.widget.face import Face, Gauge


def line(face: Face) -> str:
    """``1g.10gb on GPU 0: 2.9 of 9.8 GiB, SM 43 %``."""
    title = f"{face.title} (simulated)" if face.simulated else face.title
    parts = [_words(gauge) for gauge in face.gauges]
    told = f"{title}: {', '.join(parts)}" if parts else title
    return " ".join((f"{told}." if face.notes else told, *face.notes))


def _words(gauge: Gauge) -> str:
    of_memory = gauge.name == "Memory" and gauge.share is not None
    words = gauge.words if of_memory else f"{gauge.name} {gauge.words}"
    return f"{words}, {gauge.warning}" if gauge.warning else words
