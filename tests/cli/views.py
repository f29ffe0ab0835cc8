"""Views as a broker would send them, for the pages that draw them."""

from __future__ import annotations

from jupyter_mig.wire.messages import (
    BrokerView,
    GpuView,
    InstanceView,
    LeaseStateName,
    LeaseView,
    NodeView,
    SizeCount,
    SliceView,
)

GIB = 2**30
BROKER = BrokerView(
    protocol=1, version="0.1.0", driver="simulated:x", simulated=True, pid=4711, uid=1000
)


def instance(profile: str, start: int | None, width: int | None, **more: object) -> InstanceView:
    """One instance, held by somebody else unless said otherwise."""
    values = {"state": "held", "memory_bytes": 5 * GIB, **more}
    return InstanceView(profile=profile, start=start, width=width, **values)  # type: ignore[arg-type]


def gpu(*instances: InstanceView, units: int = 8, **more: object) -> GpuView:
    """A dynamic A100 unless said otherwise."""
    values = {
        "uuid": "GPU-0",
        "index": 0,
        "name": "A100-SXM4-40GB",
        "memory_bytes": 40 * GIB,
        "mode": "dynamic",
        **more,
    }
    return GpuView(units=units, instances=instances, **values)  # type: ignore[arg-type]


def size(name: str, free: int, total: int, **more: object) -> SizeCount:
    """A size by its counts."""
    values = {"memory_bytes": 5 * GIB, "multiprocessors": 14, "width": 1, **more}
    return SizeCount(size=name, free=free, total=total, **values)  # type: ignore[arg-type]


def node(*gpus: GpuView, sizes: tuple[SizeCount, ...] = (), **more: object) -> NodeView:
    """A simulated node unless said otherwise."""
    values = {"driver": "simulated:x", "simulated": True, "waiting": 0, **more}
    return NodeView(gpus=gpus, sizes=sizes, **values)  # type: ignore[arg-type]


def lease(
    lease_id: str, label: str, state: LeaseStateName = "bound", *, uuid: str = "", **more: object
) -> LeaseView:
    """A lease, with a slice when it has a ``uuid``."""
    place = SliceView(uuid, "1g.5gb", 5 * GIB, 14, "GPU-0", 0, "A100-SXM4-40GB", 1, 0)
    values = {
        "kernel_id": "0bd3c9aa-7d0e",
        "version": 1,
        "size": "1g.5gb",
        "held_seconds": 41 * 60.0,
        "slice": place if uuid else None,
        **more,
    }
    return LeaseView(lease_id=lease_id, label=label, state=state, **values)  # type: ignore[arg-type]
