"""A user on a node with a broker for all, whose rules mean everybody."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jupyter_mig.client import Client, Settings
from tests.broker.system.shared_node import SharedNode, lacking, shared_node
from tests.server.servers import Home, until

RULE = {"who": ["*"], "sizes": ["1g.5gb", "2g.10gb"], "slices": 1, "lifetime_seconds": 500}
QUICK = ("--MIGNews.watch_seconds=0.2", "--KernelRestarter.time_to_dead=0.2")


class RuledHome(Home):
    """The directories and environment of one such user, who is root."""

    def __init__(self, directory: Path, node: SharedNode) -> None:
        super().__init__(directory)
        self.node = node
        del self.environ["JUPYTER_MIG_DRIVER"]
        self.environ["JUPYTER_MIG_SYSTEM"] = str(node.configuration)
        self.client = Client(Settings.from_environment(self.environ))

    async def no_leases(self) -> None:
        """Wait until he holds nothing."""

        async def nothing() -> bool:
            return not await self.leases()

        await until(nothing, "for zero leases")

    def revoke(self, lease_id: str, reason: str) -> None:
        """As an administrator does."""
        done = self.node.asked(0, "admin", "revoke", lease_id, "--reason", reason)
        assert done.returncode == 0, done.stderr


async def ruled_user() -> AsyncIterator[RuledHome]:
    """One whom :data:`RULE` means, on a node whose broker runs; a fixture."""
    if lacking():
        pytest.skip(lacking())
    with shared_node(policy=[RULE]) as node:
        node.start()
        user = RuledHome(Path(tempfile.mkdtemp(prefix="mig-")), node)
        try:
            yield user
        finally:
            user.end_kernels()
            await until(user.removed, "for nobody to write into the home any more")
