"""Quotas of the node, as users of a JupyterHub meet them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.broker.system.shared_node import lacking
from tests.hub.hubs import User, hub
from tests.server.servers import until

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())

RULES = [
    {"who": ["hub:@students"], "sizes": ["1g.5gb"], "slices": 1},
    {"who": ["*"], "sizes": ["2g.10gb"]},
]
SMALL, LARGE = "python3-mig-1g.5gb", "python3-mig-3g.20gb"


async def _state(user: User, kernel_id: str) -> str:
    return {lease["kernel_id"]: str(lease["state"]) for lease in await user.leases()}.get(
        kernel_id, ""
    )


async def _becomes(user: User, kernel_id: str, state: str) -> None:
    async def has_become() -> bool:
        return await _state(user, kernel_id) == state

    await until(has_become, f"for the kernel of {user.name} to be {state}")


async def _model(user: User, kernel_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await user.ask("GET", f"api/kernels/{kernel_id}")).body
    return found


async def test_who_is_over_quota_waits_and_delays_nobody() -> None:
    """A second kernel waits though there is room, another user's starts; when the first ends it is
    the second one's turn. A size that no rule allows is not offered; asked for by an
    old kernelspec it is refused, and the kernel says why. Whom a
    rule means, the Hub tells: its groups are asked for with the broker's own token.
    """
    async with hub(2, policy=RULES) as one:
        await one.put_in_group("students", *one.users)
        alice, bob = [await one.login(name) for name in one.users]
        first = await alice.start(SMALL, "a.ipynb")
        await _becomes(alice, first, "bound")
        second = await alice.start(SMALL, "b.ipynb")
        await _becomes(alice, second, "waiting")
        bobs = await bob.start(SMALL, "c.ipynb")
        await _becomes(bob, bobs, "bound")
        assert await _state(alice, second) == "waiting"

        assert not await bob.offers(LARGE)
        bob.keep_old_spec("3g.20gb")
        refused = await bob.start(LARGE, "d.ipynb")

        async def is_dead() -> bool:
            return bool((await _model(bob, refused))["execution_state"] == "dead")

        await until(is_dead, "for the kernel to be refused")
        assert "3g.20gb" in (await _model(bob, refused))["reason"]

        await alice.ask("DELETE", f"api/kernels/{first}")
        await _becomes(alice, second, "bound")
