"""Users of one JupyterHub on one node: each has his own slices, and nothing of anybody else's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.broker.opening import NOTHING_BEHIND, opening
from tests.broker.system.shared_node import SharedNode, lacking
from tests.hub.hubs import Hub, User, hub
from tests.server.servers import until

KERNEL = "python3-mig-1g.5gb"
WHO = "import os; print(os.getuid(), os.environ['CUDA_VISIBLE_DEVICES'])"

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())


def _openable(node: SharedNode, uid: int) -> set[Path]:
    """The nodes of slices that a user may open: allowed is a device without a driver here."""
    nodes = (node.tree / "dev" / "nvidia-caps").glob("nvidia-cap*")
    return {each for each in nodes if _is_a_slices(each) and opening(each, uid) == NOTHING_BEHIND}


def _is_a_slices(node: Path) -> bool:
    """One that has gone meanwhile is nobody's."""
    with suppress(FileNotFoundError):
        return os.minor(node.stat().st_rdev) > 2
    return False


async def _is_bound(user: User, kernel_id: str) -> bool:
    return any(
        lease["kernel_id"] == kernel_id and lease["state"] == "bound"
        for lease in await user.leases()
    )


async def _bound(user: User, kernel_id: str) -> None:
    await until(lambda: _is_bound(user, kernel_id), f"for the kernel of {user.name}")


async def _is_asked_for(users: Iterable[User], number: int) -> bool:
    return sum([len(await user.leases()) for user in users]) >= number


async def _free(user: User) -> None:
    async def holds_nothing() -> bool:
        return not await user.leases()

    await until(holds_nothing, f"for {user.name} to hold nothing")


async def _started(user: User, notebook: str) -> str:
    kernel_id = await user.start(KERNEL, notebook)
    await _bound(user, kernel_id)
    return kernel_id


async def _killed_under(one: Hub, starts: Sequence[asyncio.Future[str]]) -> list[str]:
    """The broker is killed while kernels start, and started again; those kernels."""
    one.node.kill()
    one.node.socket.unlink()
    await asyncio.to_thread(one.node.start)
    return await asyncio.gather(*starts)


@pytest.mark.timeout(300)
async def test_three_users_of_a_hub() -> None:
    """Slices of their own, closed to each other on every way there is; nothing is lost when the
    broker is killed, nor when the Hub is restarted; all is free when they have gone.
    """
    async with hub(3) as one:
        alice, bob, carol = [await one.login(name) for name in one.users]
        users = (alice, bob, carol)
        kernels = {user: await _started(user, f"of-{user.name}.ipynb") for user in users}

        told = {user: (await user.run(kernels[user], WHO)).split() for user in users}
        assert [int(told[user][0]) for user in users] == [user.uid for user in users]
        assert len({told[user][1] for user in users}) == 3

        may_open = {user: _openable(one.node, user.uid) for user in users}
        assert [len(may_open[user]) for user in users] == [2, 2, 2]
        assert len(set.union(*may_open.values())) == 6

        assert [lease["kernel_id"] for lease in await bob.leases()] == [kernels[bob]]
        seen = await bob.ask("GET", "jupyter-mig/api/overview")
        assert f"of-{alice.name}" not in str(seen.body)
        for method, path in (
            ("GET", "jupyter-mig/api/leases"),
            ("DELETE", f"api/kernels/{kernels[alice]}"),
            ("DELETE", f"jupyter-mig/api/leases/{kernels[alice]}"),
        ):
            assert (await bob.ask(method, path, of=alice.name)).status in (403, 404)
        assert (await bob.ask("DELETE", f"jupyter-mig/api/leases/{kernels[alice]}")).status == 404

        starts = [asyncio.ensure_future(user.start(KERNEL, "second.ipynb")) for user in users]
        await until(lambda: _is_asked_for(users, 4), "for a second kernel to be asked for")
        second = await _killed_under(one, starts)
        for user, of_user in zip(users, second, strict=True):
            await _bound(user, kernels[user])
            await _bound(user, of_user)
            assert (await user.run(kernels[user], WHO)).split() == told[user]
        pairs = [*kernels.items(), *zip(users, second, strict=True)]
        assert len({(await user.run(each, WHO)).split()[1] for user, each in pairs}) == 6
        for user, of_user in zip(users, second, strict=True):
            await user.ask("DELETE", f"api/kernels/{of_user}")

        one.stop()
        await one.start()
        for user in users:
            assert (await user.run(kernels[user], WHO)).split() == told[user]

        for user in users:
            await user.ask("DELETE", f"api/kernels/{kernels[user]}")
            await _free(user)
        assert all(not _openable(one.node, user.uid) for user in users)
