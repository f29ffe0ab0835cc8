"""Users of a JupyterHub who have no accounts on the node, and reach its broker by TCP."""

from __future__ import annotations

import asyncio

import pytest
from tornado.httpclient import AsyncHTTPClient

from jupyter_mig import errors
from jupyter_mig.broker.remote.hub import Hub as KnownHub
from jupyter_mig.broker.remote.hub import HubUser
from jupyter_mig.hub import NodeUse
from tests.broker.system.shared_node import lacking
from tests.hub.hubs import Hub, User, hub_by_tcp
from tests.server.servers import until

SMALL, LARGE = "python3-mig-1g.5gb", "python3-mig-3g.20gb"
LOOK = "from jupyter_mig import current_slice; print(current_slice().now().slice.mig_uuid)"
POLICY = [{"who": ["hub:@students"], "sizes": ["1g.5gb"]}, {"who": ["*"], "sizes": ["3g.20gb"]}]

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())


async def _bound(user: User, kernel_id: str) -> str:
    """Wait for a kernel's slice; its UUID."""
    found: dict[str, str] = {}

    async def is_bound() -> bool:
        for lease in await user.leases():
            if (lease["kernel_id"], lease["state"]) == (kernel_id, "bound"):
                found["uuid"] = lease["slice"]["mig_uuid"]
        return bool(found)

    await until(is_bound, f"for the kernel of {user.name}")
    return found["uuid"]


async def _page(one: Hub, user: User) -> str:
    reply = await AsyncHTTPClient().fetch(
        f"{one.url}/{one.page}", headers={"Authorization": f"token {user.token}"}
    )
    return reply.body.decode()


async def test_what_is_theirs() -> None:
    """Rules for groups of the Hub, the monitor in a notebook, the page with what has been, and what
    the idle culler is told: all of it by names that the node does not know.
    """
    rules = {"policy": POLICY, "hub_users_are_unix_users": False, "keep_reading_seconds": 1}
    async with hub_by_tcp(2, **rules) as one:
        await one.put_in_group("students", one.users[0])
        alice, bob = [await one.login(name) for name in one.users]
        kernels = {alice: await alice.start(SMALL, "hers.ipynb")}
        kernels[bob] = await bob.start(LARGE, "his.ipynb")
        slices = {user: await _bound(user, kernel) for user, kernel in kernels.items()}
        assert not await alice.offers(LARGE)
        alice.keep_old_spec("3g.20gb")
        refused = await alice.start(LARGE, "more.ipynb")

        async def is_dead() -> bool:
            model = (await alice.ask("GET", f"api/kernels/{refused}")).body
            return bool(model["execution_state"] == "dead")

        await until(is_dead, "for a size that students may not have to be refused")

        for user in (alice, bob):
            assert (await user.run(kernels[user], LOOK)).strip() == slices[user]

        hers = await _page(one, alice)
        assert "hers.ipynb" in hers
        assert f"hub:{alice.name}" in hers
        assert bob.name not in hers

        use_of = NodeUse({"JUPYTER_MIG_SYSTEM": str(one.node.configuration)})
        (use,) = await use_of(alice.name)
        assert use.held_seconds > 0
        assert use.processes is not None or use.utilization is not None
        assert await use_of("nobody-there") == []

        await alice.ask("DELETE", f"api/kernels/{kernels[alice]}")

        async def is_past() -> bool:
            page = await _page(one, alice)
            return "hers.ipynb" not in page and "<td>1g.5gb</td>" in page.split("seven days")[1]

        await until(is_past, "for the slice to be history on the page")
        assert "1g.5gb" not in (await _page(one, bob)).split("seven days")[1]


async def test_what_the_hub_says_about_users() -> None:
    """A token tells the groups of its owner, whatever its scopes; of others only one with the scope
    does, and a token without it is trouble, not a user without groups.
    """
    async with hub_by_tcp(2) as one:
        name, other = one.users
        await one.put_in_group("students", name, other)
        token = (await one.ask("POST", f"hub/api/users/{name}/tokens", {})).body["token"]
        known = KnownHub(one.api_url, "jupyter-mig")
        alice = HubUser(name, frozenset({"students"}))
        assert await known.user_of(token) == alice
        assert await known.user_named(name, one.brokers_token) == alice
        assert await known.user_named("no-such", one.brokers_token) == HubUser("no-such")
        own = await one.ask(
            "POST", f"hub/api/users/{name}/tokens", {"scopes": ["users:activity!user"]}
        )
        for wrong in ("made-up", own.body["token"]):
            with pytest.raises(errors.HubUnreachable):
                await known.user_named(other, wrong)
        one.stop()
        with pytest.raises(errors.HubUnreachable):
            await asyncio.wait_for(known.user_named(name, one.brokers_token), 30)
        await one.start()
        known.close()
