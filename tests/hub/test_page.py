"""The page of slices, as a service of a real JupyterHub."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

from jupyter_mig.client.system import SystemBroker
from jupyter_mig.hub.picture import Reader
from jupyter_mig.hub.service import reader_of
from tests.broker.system.shared_node import lacking
from tests.browser.lab import chromium
from tests.hub.hubs import ADMIN, Hub, User, hub
from tests.server.servers import until

KERNEL = "python3-mig-1g.5gb"


async def _page(one: Hub, token: str) -> HTTPResponse:
    return await AsyncHTTPClient().fetch(
        HTTPRequest(
            f"{one.url}/{one.page}",
            headers={"Authorization": f"token {token}"} if token else {},
            follow_redirects=False,
        ),
        raise_error=False,
    )


async def _holds(user: User) -> None:
    await user.start(KERNEL, f"of-{user.name}.ipynb")

    async def bound() -> bool:
        return any(lease["state"] == "bound" for lease in await user.leases())

    await until(bound, f"for the kernel of {user.name}")


def test_a_service_is_nobody() -> None:
    """Though it be called like a user, or be an administrator."""
    nobody = Reader("", admin=False)
    assert reader_of({"kind": "service", "name": "alice", "admin": True}, str) == nobody
    assert reader_of({"kind": "user", "name": "alice"}, str) == Reader("alice", admin=False)
    assert reader_of({"kind": "user", "name": "b", "admin": True}, str) == Reader("b", admin=True)


def test_a_user_is_called_as_the_node_calls_him() -> None:
    """Which is by another name where users of the Hub have no accounts there."""
    nodes = {
        "alice": SystemBroker(Path("/s"), "nvml", 1),
        "hub:alice": SystemBroker(Path("/s"), "nvml", 1, numbers_hub_users=True),
        "jupyter-alice": SystemBroker(Path("/s"), "nvml", 1, hub_user_prefix="jupyter-"),
    }
    for called, node in nodes.items():
        model = {"kind": "user", "name": "alice"}
        assert reader_of(model, node.name_of) == Reader(called, admin=False)
        assert reader_of({"kind": "user"}, node.name_of) == Reader("", admin=False)


@pytest.mark.skipif(bool(lacking()), reason=lacking())
async def test_each_sees_his_own_and_an_administrator_sees_all() -> None:
    """In Chromium after the Hub's login; and by token, where a stranger's is led to the login."""
    rule = {"who": ["*"], "sizes": ["1g.5gb"], "slices": 3}
    async with hub(2, policy=[rule]) as one:
        alice, bob = [await one.login(name) for name in one.users]
        for user in (alice, bob):
            await _holds(user)

        async with chromium() as page:
            await page.goto(f"{one.url}/{one.page}")
            await page.get_by_label("Username").fill(alice.name)
            await page.get_by_label("Password").fill("any")
            await page.get_by_role("button", name="Sign in").click()
            await expect(page.get_by_role("heading", name="Your slices")).to_be_visible()
            await expect(page.locator("body")).to_contain_text(f"of-{alice.name}.ipynb")
            await expect(page.locator("body")).not_to_contain_text(bob.name)
            yours = page.get_by_role("heading", name="What you could start now")
            await expect(yours).to_be_visible()
            await expect(page.locator("body")).to_contain_text("By rule 1 (*): sizes 1g.5gb;")
            await expect(page.locator("tr", has_text="1g.5gb").last).to_contain_text("2")
            await expect(page.locator("body")).not_to_contain_text("7g.40gb")

        mine = await _page(one, bob.token)
        assert f"of-{bob.name}.ipynb" in mine.body.decode()
        assert alice.name not in mine.body.decode()
        assert "script" not in mine.headers["Content-Security-Policy"]
        for token in ("", "made-up"):
            assert (await _page(one, token)).code in (302, 403)

        token = (await one.ask("POST", f"hub/api/users/{ADMIN}/tokens", {})).body["token"]
        everything = (await _page(one, token)).body.decode()
        assert "All slices" in everything
        assert "7g.40gb" in everything
        assert all(f"of-{user.name}.ipynb" in everything for user in (alice, bob))
