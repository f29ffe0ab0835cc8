"""What a server could tell, for pages: states that a small simulated node does not come to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from playwright.async_api import Page, Route

from jupyter_mig.server.overview import OverviewView
from jupyter_mig.wire.messages import (
    GpuReadingsView,
    GpuView,
    HistoryPoint,
    HistoryView,
    InstanceView,
    LeaseHistoryView,
    LeaseView,
    NodeView,
    ReadingsView,
    SizeCount,
    SliceReadingsView,
    SliceView,
)

GIB = 2**30
NAME = "NVIDIA H100 80GB HBM3"


async def tell(page: Page, overview: OverviewView, history: HistoryView | None = None) -> None:
    """Answer the page's questions with these from now on."""
    for name, view in (("overview", overview), ("history", history)):
        await page.unroute(f"**/jupyter-mig/api/{name}*")
        await page.route(f"**/jupyter-mig/api/{name}*", _answering(msgspec.json.encode(view)))


def _answering(body: bytes) -> Callable[[Route], Awaitable[None]]:
    async def answer(route: Route) -> None:
        await route.fulfill(body=body, content_type="application/json")

    return answer


def overview(
    leases: list[LeaseView], *gpus: GpuView, readings: ReadingsView | None = None
) -> OverviewView:
    """The node has these GPUs, the user these leases."""
    sizes = (
        SizeCount("1g.10gb", 0, 56, int(9.8 * GIB), 16, 1),
        SizeCount("2g.20gb", 0, 24, int(19.6 * GIB), 32, 2),
    )
    waiting = sum(lease.state == "waiting" for lease in leases)
    node = NodeView("simulated", True, gpus, sizes, waiting)
    return OverviewView(node, leases, readings)


def gpu(index: int, instances: tuple[InstanceView, ...], **more: object) -> GpuView:
    """One H100."""
    plain = GpuView(f"GPU-{index}", index, NAME, 80 * GIB, 8, "dynamic", instances)
    return msgspec.structs.replace(plain, **more)


def held(number: int, gpu_index: int, start: int) -> tuple[LeaseView, InstanceView]:
    """A kernel's 1g slice."""
    lease_id, memory = f"lease-{number}", int(9.8 * GIB)
    label = f"work/kernel-{number:03}.ipynb"
    of = SliceView(
        f"MIG-{number}", "1g.10gb", memory, 16, f"GPU-{gpu_index}", gpu_index, NAME, number
    )
    lease = LeaseView(lease_id, _kernel(number), "bound", 1, "1g.10gb", label, 60.0, of)
    instance = InstanceView(
        *("1g.10gb", memory, "held", start, 1, lease_id, label, True),
        instance_id=f"instance-{number}",
    )
    return lease, instance


def waiting(number: int, place: int) -> LeaseView:
    """A kernel in line."""
    label = f"work/kernel-{number:03}.ipynb"
    return LeaseView(
        *(f"lease-{number}", _kernel(number), "waiting", 1, "2g.20gb", label, 5.0), place=place
    )


def _kernel(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


def full_node(kernels: int = 200) -> tuple[OverviewView, HistoryView]:
    """Eight GPUs cut into 56 slices, all with utilization; the other kernels wait."""
    pairs = [held(number, number // 7, number % 7) for number in range(56)]
    gpus = [
        gpu(index, tuple(instance for _, instance in pairs[7 * index : 7 * index + 7]))
        for index in range(8)
    ]
    leases = [lease for lease, _ in pairs]
    queue = [waiting(number, number - 55) for number in range(56, kernels)]
    read = ReadingsView(
        *(0.1, True, tuple(_reading(number) for number in range(56))),
        gpus=tuple(GpuReadingsView(f"GPU-{index}", 318.2, 58.0) for index in range(8)),
    )
    history = tuple(LeaseHistoryView(lease.lease_id, _past()) for lease in leases)
    return overview([*leases, *queue], *gpus, readings=read), HistoryView(5.0, history)


def _reading(number: int) -> SliceReadingsView:
    used = (number % 9 + 1) * GIB
    return SliceReadingsView(
        *(f"instance-{number}", used, int(9.8 * GIB), ""),
        utilization={"sm": float(number), "tensor": number / 2, "dram": 20.0},
        utilization_source="GPM",
        processes=1,
    )


def _past() -> tuple[HistoryPoint, ...]:
    """A quarter of an hour that goes up and down."""
    return tuple(
        HistoryPoint(5.0 * age, (4 + _wave(age, 40) // 5) * GIB, 100.0 - _wave(age, 60))
        for age in reversed(range(180))
    )


def _wave(at: int, length: int) -> int:
    return abs(at % length - length // 2)
