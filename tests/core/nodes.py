"""GPUs for tests of the core, written down as a driver reports them."""

from __future__ import annotations

from jupyter_mig.core.events import BrokerStarted, GpuObserved
from jupyter_mig.core.geometry import Engines, Geometry, Gpu, Profile
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.rules import Rules

MIB = 1 << 20


NO_ENGINES = Engines()


def profile(  # noqa: PLR0917 - a row of a table reads best as a row
    profile_id: int,
    name: str,
    memory_mib: int,
    max_count: int,
    width: int,
    starts: tuple[int, ...],
    engines: Engines = NO_ENGINES,
) -> Profile:
    """A profile row; compute slices are read off its name."""
    compute = int(name[0])
    return Profile(
        profile_id, name, memory_mib * MIB, 14 * compute, compute, max_count, width, starts, engines
    )


A100 = Geometry(
    (
        profile(19, "1g.5gb", 4864, 7, 1, (0, 1, 2, 3, 4, 5, 6)),
        profile(20, "1g.5gb+me", 4864, 1, 1, (0, 1, 2, 3, 4, 5, 6), Engines(1, 0, 1, 1)),
        profile(15, "1g.10gb", 9856, 4, 2, (0, 2, 4, 6), Engines(1)),
        profile(14, "2g.10gb", 9856, 3, 2, (0, 2, 4), Engines(1)),
        profile(9, "3g.20gb", 19968, 2, 4, (0, 4), Engines(2)),
        profile(5, "4g.20gb", 19968, 1, 4, (0,), Engines(2)),
        profile(0, "7g.40gb", 40192, 1, 8, (0,), Engines(5, 0, 1, 1)),
    )
)

A30 = Geometry(
    (
        profile(14, "1g.6gb", 5952, 4, 1, (0, 1, 2, 3)),
        profile(21, "1g.6gb+me", 5952, 1, 1, (0, 1, 2, 3), Engines(1, 0, 1, 1)),
        profile(5, "2g.12gb", 11968, 2, 2, (0, 2), Engines(2)),
        profile(0, "4g.24gb", 24000, 1, 4, (0,), Engines(4, 0, 1, 1)),
    )
)

RTX_PRO = Geometry(
    (
        profile(14, "1g.24gb", 24192, 4, 3, (0, 3, 6, 9), Engines(1, 1, 1, 0)),
        profile(65, "1g.24gb+me.all", 24192, 1, 3, (0, 3, 6, 9), Engines(4, 4, 4, 1)),
        profile(67, "1g.24gb-me", 24192, 4, 3, (0, 3, 6, 9)),
        profile(5, "2g.48gb", 48512, 2, 6, (0, 6), Engines(2, 2, 2, 0)),
        profile(0, "4g.96gb", 97408, 1, 12, (0,), Engines(4, 4, 4, 1)),
    )
)

GEOMETRIES = {"A100": A100, "A30": A30, "RTX PRO": RTX_PRO}


def gpu(index: int, geometry: Geometry, *, mig_enabled: bool = True) -> Gpu:
    """A GPU of that geometry."""
    memory = max(p.memory_bytes for p in geometry.profiles)
    return Gpu(f"GPU-{index}", index, "test GPU", index, memory, mig_enabled, geometry)


def ledger(*geometries: Geometry, rules: Rules | None = None) -> Ledger:
    """A ledger that has seen a node of empty dynamic GPUs at time 1."""
    book = Ledger(rules)
    book.handle(BrokerStarted("boot-1"), 0.0)
    for index, geometry in enumerate(geometries):
        book.handle(GpuObserved(gpu(index, geometry), creates=True), 1.0)
    return book
