"""Stopping kernels that are being started, with Jupyter's manager of many kernels and no server."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from jupyter_client.multikernelmanager import AsyncMultiKernelManager

from jupyter_mig.kernels import pending
from jupyter_mig.wire.messages import LeaseRequest
from tests.server.servers import Home, until


@pytest.fixture
def here(user: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """This process is the user's: it has a kernelspec for a whole GPU."""
    user.kernelspec("whole", "7g.40gb")
    for name, value in user.environ.items():
        monkeypatch.setenv(name, value)
    return user


def kernels_of(user: Home, *, pending_kernels: bool) -> AsyncMultiKernelManager:
    """Jupyter's manager of many kernels. Told no place, it keeps connection files where we are, and
    a run that is killed would leave them in somebody's checkout.
    """
    return AsyncMultiKernelManager(
        use_pending_kernels=pending_kernels, connection_dir=str(user.runtime)
    )


async def test_a_start_is_listed_by_another_entry_while_it_waits_and_not_if_it_fails() -> None:
    """By its own again afterwards, so that stopping the kernel waits for its launch as usual."""
    start: asyncio.Future[None] = asyncio.Future()
    listed: dict[str, object] = {"k": start}
    manager = SimpleNamespace(parent=SimpleNamespace(_pending_kernels=listed))
    with pending.waiting(manager, "k") as wait:
        assert listed == {"k": wait}
    assert listed == {"k": start}
    with pytest.raises(KeyError), pending.waiting(manager, "k"):
        raise KeyError
    assert listed == {}


def test_a_kernel_without_a_server_has_no_list() -> None:
    """Kernel managers of nbclient have no parent, or one that keeps no list."""
    for parent in (None, SimpleNamespace()):
        with pending.waiting(SimpleNamespace(parent=parent), "k") as wait:
            assert wait is None


@pytest.mark.parametrize("pending_kernels", [True, False])
async def test_a_start_that_waits_in_line_is_given_up_at_once(
    here: Home, *, pending_kernels: bool
) -> None:
    """By stopping all kernels; the list of kernels is empty then, and so is the line."""
    other = await here.client.acquire(LeaseRequest("other", "7g.40gb"))
    kernels = kernels_of(here, pending_kernels=pending_kernels)
    starting = asyncio.ensure_future(kernels.start_kernel(kernel_name="whole"))

    async def in_line() -> bool:
        return any(lease.state == "waiting" for lease in await here.leases())

    await until(in_line, "for the kernel to wait in line")
    await asyncio.wait_for(kernels.shutdown_all(), 20)  # nobody gives a slice back meanwhile
    await asyncio.wait([starting])
    assert starting.cancelled() is not pending_kernels
    assert len(kernels) == 0

    async def alone() -> bool:
        return [lease.lease_id for lease in await here.leases()] == [other.lease_id]

    await until(alone, "for the line to be empty")
    await here.client.release(other.lease_id)
    await here.empty()


async def test_a_start_that_does_not_wait_is_let_finish(here: Home) -> None:
    """As with the stock provisioner: the kernel runs, then it is stopped."""
    kernels = kernels_of(here, pending_kernels=True)
    kernel = kernels.get_kernel(await kernels.start_kernel(kernel_name="whole"))
    await kernels.shutdown_all(now=True)
    await asyncio.wait_for(kernel.ready, 60)  # type: ignore[arg-type]
    assert len(kernels) == 0
    await here.empty()
