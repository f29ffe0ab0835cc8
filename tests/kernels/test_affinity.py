"""Kernels are on the CPUs near their slices' GPUs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from jupyter_client.manager import AsyncKernelManager
from traitlets.config import Config

from tests.server.servers import Home, home

CPUS = sorted(os.sched_getaffinity(0))
HALVES = [set(CPUS[: len(CPUS) // 2]), set(CPUS[len(CPUS) // 2 :])]
"""What each of two NUMA nodes has, where all CPUs are ours."""

pytestmark = pytest.mark.skipif(
    len(CPUS) < 2 or len(CPUS) < (os.cpu_count() or 1), reason="needs two CPUs, and all there are"
)


@pytest_asyncio.fixture
async def user(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    """One user, whose environment this process has, on a node of two GPUs and two NUMA nodes."""
    async with home("simulated:2xA100-SXM4-40GB?time_scale=0&numa=2") as one:
        one.kernelspec("whole", "7g.40gb", "sleep", "3600")
        for name, value in one.environ.items():
            monkeypatch.setenv(name, value)
        yield one


@pytest_asyncio.fixture
async def kernels() -> AsyncIterator[AsyncExitStack]:
    """Ends the kernels that were started."""
    async with AsyncExitStack() as stack:
        yield stack


async def affinity(kernels: AsyncExitStack, **traits: bool) -> set[int]:
    """The CPUs that a kernel just started may use."""
    settings = Config({"MIGProvisioner": traits})
    manager = AsyncKernelManager(kernel_name="whole", config=settings)
    await manager.start_kernel()
    kernels.push_async_callback(manager.shutdown_kernel, now=True)
    assert manager.provisioner is not None
    return os.sched_getaffinity(manager.provisioner.pid)  # type: ignore[attr-defined]


async def test_each_kernel_is_near_its_gpu(user: Home, kernels: AsyncExitStack) -> None:
    """Two kernels have a GPU each, and between them all CPUs; this process keeps its own."""
    found = [await affinity(kernels), await affinity(kernels)]
    assert sorted(found, key=min) == HALVES
    assert sorted(os.sched_getaffinity(0)) == CPUS


async def test_one_can_do_without(user: Home, kernels: AsyncExitStack) -> None:
    """The setting leaves the kernel where its server is."""
    assert await affinity(kernels, near_gpu=False) == set(CPUS)


async def test_a_server_that_is_confined_elsewhere(user: Home, kernels: AsyncExitStack) -> None:
    """Of two kernels the one whose GPU is far away stays where the server was put, as does the
    other.
    """
    os.sched_setaffinity(0, HALVES[0])
    try:
        found = [await affinity(kernels), await affinity(kernels)]
    finally:
        os.sched_setaffinity(0, CPUS)
    assert found == [HALVES[0], HALVES[0]]
