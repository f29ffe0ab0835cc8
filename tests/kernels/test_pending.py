"""Stopping kernels that are being started, with Jupyter's manager of many kernels and no server."""

from __future__ import annotations

import asyncio
import time

import pytest
from jupyter_client.multikernelmanager import AsyncMultiKernelManager

from jupyter_mig.wire.messages import LeaseRequest
from tests.server.servers import Home, until


@pytest.fixture
def here(user: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """This process is the user's: it has a kernelspec for a whole GPU."""
    user.kernelspec("whole", "7g.40gb")
    for name, value in user.environ.items():
        monkeypatch.setenv(name, value)
    return user


@pytest.mark.parametrize("pending", [True, False])
async def test_a_start_that_waits_in_line_is_given_up_at_once(here: Home, *, pending: bool) -> None:
    """By stopping all kernels; the list of kernels is empty then, and so is the line."""
    other = await here.client.acquire(LeaseRequest("other", "7g.40gb"))
    kernels = AsyncMultiKernelManager(use_pending_kernels=pending)
    starting = asyncio.ensure_future(kernels.start_kernel(kernel_name="whole"))

    async def in_line() -> bool:
        return any(lease.state == "waiting" for lease in await here.leases())

    await until(in_line, "for the kernel to wait in line")
    began = time.monotonic()
    await kernels.shutdown_all()
    assert time.monotonic() - began < 3
    await asyncio.wait([starting])
    assert starting.cancelled() is not pending
    assert len(kernels) == 0

    async def alone() -> bool:
        return [lease.lease_id for lease in await here.leases()] == [other.lease_id]

    await until(alone, "for the line to be empty")
    await here.client.release(other.lease_id)
    await here.empty()


async def test_a_start_that_does_not_wait_is_let_finish(here: Home) -> None:
    """As with the stock provisioner: the kernel runs, then it is stopped."""
    kernels = AsyncMultiKernelManager(use_pending_kernels=True)
    kernel = kernels.get_kernel(await kernels.start_kernel(kernel_name="whole"))
    await kernels.shutdown_all(now=True)
    await asyncio.wait_for(kernel.ready, 10)  # type: ignore[arg-type]
    assert len(kernels) == 0
    await here.empty()
