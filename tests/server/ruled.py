"""A user on a node with a broker for all, whose rules mean everybody."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from jupyter_mig.client import Client, Settings
from tests.broker.system.shared_node import SharedNode, shared_node
from tests.server.servers import Home, until


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


@asynccontextmanager
async def ruled_home(*rules: object, **settings: object) -> AsyncIterator[RuledHome]:
    """Such a node, its broker started, and the user; both gone afterwards."""
    with shared_node(policy=list(rules), **settings) as node:
        node.start()
        user = RuledHome(Path(tempfile.mkdtemp(prefix="mig-")), node)
        try:
            yield user
        finally:
            user.end_kernels()
            await until(user.removed, "for nobody to write into the home any more")
