"""Every verb of every route: below the base URL, for those who may."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

from tornado.web import RequestHandler

from jupyter_mig.server.handlers import HANDLERS, MIGHandler
from tests.server.servers import Home, Reply, Server, serving

SMALL = "python3-mig-1g.5gb"
BASE = "/user/x"
DENYING = """
from jupyter_server.auth.authorizer import Authorizer

class Denying(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return resource != "jupyter_mig"
"""


def verbs() -> Iterator[tuple[str, str]]:
    """Method and path of everything that is answered."""
    for route, handler in HANDLERS:
        path = route.replace(r"(\w+-\w+-\w+-\w+-\w+)", str(uuid.uuid4()))
        for method in MIGHandler.SUPPORTED_METHODS:
            own = getattr(handler, method.lower())
            if own is not getattr(RequestHandler, method.lower()) and method != "OPTIONS":
                yield method, f"jupyter-mig/{path}"


async def ask_all(server: Server, token: str) -> dict[tuple[str, str], int]:
    """The status of each."""
    body = {"size": "1g.5gb"}
    replies: dict[tuple[str, str], Reply] = {}
    for method, path in verbs():
        content = body if method == "POST" else None
        replies[method, path] = await server.ask(method, path, content, token=token)
    return {verb: reply.status for verb, reply in replies.items()}


async def test_each_verb_asks_who_you_are(user: Home) -> None:
    """Without a token everything is forbidden; with one it is found, below the base URL."""
    async with serving(user, base=BASE) as server:
        forbidden = await ask_all(server, token="wrong")
        assert len(forbidden) >= len(HANDLERS)
        assert set(forbidden.values()) == {403}
        allowed = await ask_all(server, token="secret")
        reads = {status for (method, _), status in allowed.items() if method == "GET"}
        assert reads == {200}
        assert {status for status in allowed.values() if status != 200} == {404}


async def test_each_verb_asks_whether_you_may(user: Home) -> None:
    """With a token, and an authorizer that keeps everybody off what is ours alone."""
    (user.directory / "denying.py").write_text(DENYING)
    user.environ["PYTHONPATH"] += os.pathsep + str(user.directory)
    async with serving(user, "--ServerApp.authorizer_class=denying.Denying") as server:
        assert (await server.ask("GET", "api/kernels")).status == 200
        assert set((await ask_all(server, token="secret")).values()) == {403}


async def test_a_hub_like_prefix_changes_nothing(user: Home) -> None:
    """Sizes, a change of size, and the overview, as a server behind a proxy has them."""
    async with serving(user, base=BASE) as server:
        kernel = await server.start(SMALL)
        await server.lease_in(kernel, "bound")
        path = f"jupyter-mig/api/kernels/{kernel}/size"
        reply = await server.ask("POST", path, {"size": "2g.10gb"})
        assert reply.status == 200, reply
        leases = (await server.ask("GET", "jupyter-mig/api/overview")).body["leases"]
        sizes = {lease["kernel_id"]: lease["size"] for lease in leases}
        assert sizes[reply.body["kernel_id"]] == "2g.10gb"
        history = (await server.ask("GET", "jupyter-mig/api/history")).body
        assert history["step_seconds"] > 0
