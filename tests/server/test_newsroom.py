"""Events on a real server's bus, as JupyterLab listens to them."""

from __future__ import annotations

import os
import signal
import socket

from jupyter_mig.nvml import simulated
from jupyter_mig.wire import meeting
from tests.server.listeners import listening
from tests.server.servers import Home, serving

SMALL = "python3-mig-1g.5gb"
WHOLE = "python3-mig-7g.40gb"
OFTEN = "--MIGNews.watch_seconds=0.2"


async def test_a_wait_its_end_and_nothing_else(user: Home) -> None:
    """Told once each, and not that its user shut the other kernel down."""
    async with serving(user, OFTEN) as server, listening(server) as listener:
        running = await server.start(WHOLE)
        await server.lease_in(running, "bound")
        waiting = (await server.start_session(SMALL, "train.ipynb")).body["kernel"]["id"]
        event = await listener.next()
        assert (event["kind"], event["kernel_id"]) == ("waiting", waiting)
        assert (event["place"], event["size"]) == (1, "1g.5gb")
        await server.ask("DELETE", f"api/kernels/{running}")
        event = await listener.next()
        assert (event["kind"], event["kernel_id"]) == ("granted", waiting)
        assert event["lease_id"] == (await server.lease_in(waiting, "bound")).lease_id


async def test_a_refused_start(user: Home) -> None:
    """Also of a kernel to which no front end is connected."""
    options = (OFTEN, "--MIGProvisioner.patience_seconds=0")
    async with serving(user, *options) as server, listening(server) as listener:
        await server.lease_in(await server.start(WHOLE), "bound")
        refused = await server.start(SMALL)
        event = await listener.next()
        assert (event["kind"], event["kernel_id"]) == ("refused", refused)
        assert event["message"].startswith("No 1g.5gb slice is free")
        assert "or wait" in event["next_step"]


async def test_an_idle_and_a_lost_slice(user: Home) -> None:
    """Idle: it says what is held. Lost: given back under the kernel's feet."""
    options = (OFTEN, "--MIGNews.idle_minutes=0.02")
    async with serving(user, *options) as server, listening(server) as listener:
        kernel = (await server.start_session(SMALL, "train.ipynb")).body["kernel"]["id"]
        await server.pid(kernel)
        event = await listener.next()
        assert (event["kind"], event["kernel_id"]) == ("idle", kernel)
        assert event["idle_seconds"] >= 1.2
        lease = await server.lease_in(kernel, "bound")
        await user.client.release(lease.lease_id)
        while event["kind"] == "idle":
            event = await listener.next()
        assert (event["kind"], event["lease_id"]) == ("released", lease.lease_id)


async def test_a_slice_that_is_filled_and_destroyed_under_its_kernel(user: Home) -> None:
    """By a program in the notebook, and by an administrator."""
    # The broker looks more often at the GPUs while somebody waits.
    async with serving(user, OFTEN) as server, listening(server) as listener:
        kernel = (await server.start_session(SMALL, "train.ipynb")).body["kernel"]["id"]
        lease = await server.lease_in(kernel, "bound")
        assert lease.slice is not None
        with _silicon(user) as node:
            with node.cuda_client(lease.slice.mig_uuid, memory_bytes=46 * 2**30 // 10):
                event = await listener.next()
            assert (event["kind"], event["kernel_id"]) == ("nearly-full", kernel)
            assert event["memory_used_bytes"] >= 0.9 * event["memory_total_bytes"]
            other = await server.start(WHOLE)
            await server.lease_in(other, "waiting")
            node.destroy(lease.slice.mig_uuid)
            while event["kernel_id"] != kernel or event["kind"] == "nearly-full":
                event = await listener.next()
        assert (event["kind"], event["lease_id"]) == ("lost", lease.lease_id)
        assert "gone from its GPU" in event["message"]


async def test_a_kernel_that_dies_for_good(user: Home) -> None:
    """Nobody asked for that; its slice is free again."""
    options = (OFTEN, "--KernelRestarter.restart_limit=1", "--KernelRestarter.time_to_dead=0.2")
    async with serving(user, *options) as server, listening(server) as listener:
        kernel = await server.start(SMALL)
        for _ in range(2):
            lease = await server.lease_in(kernel, "bound")
            assert lease.kernel_pid is not None
            os.kill(lease.kernel_pid, signal.SIGKILL)
            await server.lease_in(kernel, "orphaned")
        event = await listener.next()
        assert (event["kind"], event["lease_id"]) == ("released", lease.lease_id)
        assert "died for good" in event["message"]
        await server.gone(kernel)


async def test_without_slices_nothing_is_asked(user: Home) -> None:
    """A server whose kernels have none leaves the broker to itself."""
    async with serving(user, OFTEN) as server:
        broker = await user.broker_pid()
        await server.run(await server.start("python3"), "print(1)")
        os.kill(broker, signal.SIGKILL)
        # A question would have it started again within the 0.2 s in which it looks.
        await server.run(await server.start("python3"), "import time; time.sleep(1)")
        assert not _lives(user)


def _silicon(user: Home) -> simulated.Node:
    """The simulated hardware, beneath the broker."""
    return simulated.attached(user.broker_dir / meeting.SILICON)


def _lives(user: Home) -> bool:
    """Whether a broker listens; asked without starting one."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(user.client.socket)) == 0
