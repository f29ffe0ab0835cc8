"""An idle kernel keeps its slice while its broker is dead: two brokers with one set of nodes.

The other broker has a copy of the simulated silicon, so it never sees who computes: as with NVML
and a process that has no CUDA context.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.client import Client
from jupyter_mig.client.locks import lock, locked
from jupyter_mig.kernels import provisioner
from jupyter_mig.kernels.refusals import StartRefused
from jupyter_mig.wire import meeting
from jupyter_mig.wire.messages import LeaseRequest, LeaseView, SliceView
from tests.broker.brokers import Orders, Post, runtime_directory, until

NODE = "1xA30?time_scale=0"
SIZE = "2g.12gb"
OFTEN = Orders(observe=0.1)


class Neighbours:
    """A broker of ours and one of somebody else's on a node with one slice."""

    def __init__(self, runtime: Path) -> None:
        node = f"{NODE}&root={runtime / 'tree'}"
        self.tree = runtime / "tree"
        self.ours, self.theirs = (
            Post(_made(runtime / name), node, OFTEN, inventory="static")
            for name in ("ours", "theirs")
        )
        self.client = self.ours.client()
        self.other = self.theirs.client()
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "CUDA"))},
            "JUPYTER_MIG_DRIVER": f"simulated:{node}",
            "JUPYTER_MIG_INVENTORY": "static",
            "XDG_RUNTIME_DIR": str(runtime / "ours"),
        }

    async def open(self) -> None:
        """Start both brokers; the slice is there."""
        await self.client.broker()
        with self.ours.silicon() as node:
            node.create(0, SIZE)
        copied = (self.ours.directory / meeting.SILICON).read_bytes()
        (self.theirs.directory / meeting.SILICON).write_bytes(copied)
        for client in (self.client, self.other):
            await until(partial(_free, client))

    async def lease(self) -> LeaseView:
        """Our lease, once a process hangs on it."""

        async def look() -> LeaseView | None:
            leases = await self.client.leases()
            return next((one for one in leases if one.state == "bound"), None)

        return await until(look)

    async def nothing_held(self) -> bool:
        """Whether none of our leases is left."""
        return not await self.client.leases()

    async def theirs_now(self, patience_seconds: float = 0) -> LeaseView:
        """Somebody else asks for the slice."""
        request = LeaseRequest("theirs", SIZE, patience_seconds=patience_seconds)
        return await self.other.acquire(request)


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o700)
    return directory


async def _free(client: Client) -> bool:
    return [one.free for one in (await client.node()).sizes] == [1]


@pytest.fixture
async def neighbours() -> AsyncIterator[Neighbours]:
    """Both brokers, at work."""
    with runtime_directory() as runtime:
        both = Neighbours(runtime)
        await both.open()
        yield both
        both.client.close()
        both.other.close()


@asynccontextmanager
async def kernel(environ: Mapping[str, str]) -> AsyncIterator[None]:
    """A Jupyter kernel, which imports nothing that computes."""
    manager = manager_of_one()
    with _environment(environ):
        await manager.start_kernel(env=dict(environ))
        try:
            yield
        finally:
            await manager.shutdown_kernel(now=True)


def manager_of_one() -> AsyncKernelManager:
    """For a kernel on a slice that it gets at once or not at all."""
    config = {"size": SIZE, "patience_seconds": 0}
    stanza = {"provisioner_name": "mig-provisioner", "config": config}
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager = AsyncKernelManager()
    manager._kernel_spec = KernelSpec(argv=argv, metadata={"kernel_provisioner": stanza})
    return manager


@contextmanager
def _environment(environ: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_MIG_DRIVER", "JUPYTER_MIG_INVENTORY", "XDG_RUNTIME_DIR"):
            patch.setenv(name, environ[name])
        yield


@asynccontextmanager
async def command(environ: Mapping[str, str]) -> AsyncIterator[None]:
    """A command run by ``jupyter mig run``."""
    process = await started(environ, "run", "--size", SIZE, "--", "cat")
    yield
    process.kill()
    await process.wait()


@asynccontextmanager
async def job(environ: Mapping[str, str]) -> AsyncIterator[None]:
    """A job of ``jupyter mig batch``."""
    process = await started(environ, "batch", "-")
    assert process.stdin is not None
    process.stdin.write(f"{SIZE} sleep 600\n".encode())
    process.stdin.close()
    yield
    process.terminate()
    await process.wait()


async def started(environ: Mapping[str, str], *arguments: str) -> Process:
    """``jupyter mig`` at work."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jupyter_mig.cli", *arguments),
        env=environ, stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip


Holder = Callable[[Mapping[str, str]], AbstractAsyncContextManager[None]]


@pytest.mark.parametrize("holder", [kernel, command, job])
async def test_nobody_is_given_an_idle_slice_whose_broker_was_killed(
    neighbours: Neighbours, holder: Holder
) -> None:
    """Not while there is no broker, nor after the next one; and at once when the holder ends."""
    async with holder(neighbours.environ):
        lease = await neighbours.lease()
        neighbours.ours.end(signal.SIGKILL)
        with pytest.raises(errors.OutOfPatience):
            await neighbours.theirs_now(patience_seconds=2.5)  # longer than one look
        again = await neighbours.lease()
        assert (again.lease_id, again.slice) == (lease.lease_id, lease.slice)
        nodes = tuple(map(Path, lease.slice.access_nodes if lease.slice else ()))
        assert nodes
        assert neighbours.ours.pid in processes.lockers(nodes)
        with pytest.raises(errors.NoRoom):
            await neighbours.theirs_now()
    assert (await neighbours.theirs_now(patience_seconds=30)).state == "granted"


async def test_without_a_lock_of_the_kernels_own_the_slice_is_given_away(
    neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same story ends in a double grant: the test above can tell."""
    monkeypatch.setattr(provisioner, "locked", lambda _: locked(None))
    async with kernel(neighbours.environ):
        await neighbours.lease()
        neighbours.ours.end(signal.SIGKILL)
        assert (await neighbours.theirs_now(patience_seconds=30)).state == "granted"


async def test_a_slice_that_was_given_away_is_not_used_by_the_kernels_successor(
    neighbours: Neighbours,
) -> None:
    """No broker, then no kernel, so no lock: somebody else gets it, and a restart is told so."""
    manager = manager_of_one()
    with _environment(neighbours.environ):
        await manager.start_kernel(env=dict(neighbours.environ))
        neighbours.ours.end(signal.SIGKILL)
        assert manager.provisioner is not None
        await manager.provisioner.kill()
        await manager.provisioner.wait()
        assert (await neighbours.theirs_now(patience_seconds=30)).state == "granted"
        await neighbours.client.broker()
        with pytest.raises(StartRefused, match=SIZE):
            await manager.restart_kernel(now=True)
        await manager.cleanup_resources()
        assert await neighbours.nothing_held()
    assert (await neighbours.theirs_now()).state == "granted"


async def test_a_slice_that_was_given_away_before_its_kernel_ran_is_lost(
    neighbours: Neighbours,
) -> None:
    """Its process is not tied to it: the refusal says that it is gone."""
    lease = await neighbours.client.acquire(LeaseRequest("ours", SIZE))
    neighbours.ours.end(signal.SIGKILL)
    assert (await neighbours.theirs_now(patience_seconds=30)).state == "granted"
    with pytest.raises(errors.LeaseEnded, match="gone"):
        await neighbours.client.bind(lease.lease_id, os.getpid())
    assert await neighbours.nothing_held()


async def test_what_a_command_leaves_behind_keeps_the_lock_and_its_life(
    neighbours: Neighbours,
) -> None:
    """It does not compute and is not ended with the lease; the slice is free when it is gone."""
    left = "sleep 600 >/dev/null 2>&1 & echo $!"
    process = await started(neighbours.environ, "run", "--size", SIZE, "--", "sh", "-c", left)
    printed, _ = await process.communicate()
    pidfd = os.pidfd_open(int(printed))
    try:
        await until(neighbours.nothing_held)
        with pytest.raises(errors.OutOfPatience):
            await neighbours.theirs_now(patience_seconds=0.5)
    finally:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
    assert (await neighbours.theirs_now(patience_seconds=30)).state == "granted"


def test_a_node_that_cannot_be_locked_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Missing, or claimed by somebody just now; the others are locked, and a debug line says so."""
    caplog.set_level(logging.DEBUG, "jupyter_mig.client.locks")
    nodes = [tmp_path / name for name in ("good", "missing", "claimed")]
    nodes[0].touch()
    nodes[2].touch()
    with nodes[2].open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with locked(_slice(*nodes)) as files:
            assert [Path(f"/proc/self/fd/{file}").readlink() for file in files] == nodes[:1]
            assert not any(map(os.get_inheritable, files))
    assert [record.message.split(":")[0] for record in caplog.records] == list(map(str, nodes[1:]))
    with nodes[0].open() as anybody:
        fcntl.flock(anybody, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_without_nodes_there_is_nothing_to_lock() -> None:
    """On simulated nodes without a root, and where a broker of before tells of none."""
    assert lock(_slice()) == lock(None) == ()


def _slice(*nodes: Path) -> SliceView:
    names = tuple(map(str, nodes))
    return SliceView("MIG-1", SIZE, 1, 14, "GPU-1", 0, "A30", 7, access_nodes=names)
