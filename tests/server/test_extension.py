"""What the extension does to a server, and that it can do it no harm."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import cast

import pytest
from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from jupyter_mig.server import _link_jupyter_server_extension
from tests.server.servers import Home, serving

SMALL = "python3-mig-1g.5gb"
WHOLE = "python3-mig-7g.40gb"


async def test_sizes_are_in_the_picker_and_nothing_is_left(user: Home) -> None:
    """With no configuration; an uninstalled package leaves nothing behind."""
    async with serving(user) as server:
        specs = (await server.ask("GET", "api/kernelspecs")).body["kernelspecs"]
        assert [name for name in specs if "-mig-" in name]
        small = specs[SMALL]
        assert small["spec"]["metadata"]["jupyter_mig"]["profile"] == "1g.5gb"
        assert small["spec"]["display_name"] == "Python 3  (1g.5gb) simulated"
        assert "logo-64x64" in small["resources"]
        assert "6 simulated kernels with a GPU slice" in server.log()
        server.stop()
    left = [path.name for path in (user.directory / "jupyter").iterdir()]
    assert left == ["jupyter_cookie_secret"]


async def test_the_routes_tell_of_node_and_leases(user: Home) -> None:
    """The broker's own views, for front ends."""
    async with serving(user) as server:
        kernel = await server.start(SMALL)
        lease = await server.lease_in(kernel, "bound")
        node = (await server.ask("GET", "jupyter-mig/api/node")).body
        assert (node["simulated"], node["sizes"][0]["size"]) == (True, "1g.5gb")
        leases = (await server.ask("GET", "jupyter-mig/api/leases")).body
        assert [each["lease_id"] for each in leases] == [lease.lease_id]


async def test_a_running_kernel_cannot_be_called_off(user: Home) -> None:
    """The route takes requests back; it never takes a slice away."""
    async with serving(user) as server:
        kernel = await server.start(SMALL)
        await server.lease_in(kernel, "bound")
        refused = await server.ask("DELETE", f"jupyter-mig/api/leases/{kernel}")
        assert (refused.status, refused.body["kind"]) == (409, "refused")
        unknown = await server.ask("DELETE", f"jupyter-mig/api/leases/{uuid.uuid4()}")
        assert (unknown.status, unknown.body["kind"]) == (404, "unknown-lease")
        assert await server.run(kernel, "print(1)") == "1\n"


async def test_strangers_are_turned_away(user: Home) -> None:
    """Every verb asks for authentication."""
    async with serving(user) as server:
        for method, path in (("GET", "node"), ("GET", "leases"), ("DELETE", "leases/1-1-1-1-1")):
            reply = await server.ask(method, f"jupyter-mig/api/{path}", token="wrong")
            assert reply.status == 403


async def test_a_wait_can_be_called_off_in_every_way(user: Home) -> None:
    """By our route, and by what JupyterLab's Running panel and a closed session do; at once."""
    async with serving(user) as server:
        running = await server.start(WHOLE)
        await server.lease_in(running, "bound")

        cancelled = await server.start(WHOLE)
        await server.lease_in(cancelled, "waiting")
        assert (await server.ask("DELETE", f"jupyter-mig/api/leases/{cancelled}")).status == 200
        await server.gone(cancelled)

        deleted = await server.start(WHOLE)
        await server.lease_in(deleted, "waiting")
        assert (await server.ask("DELETE", f"api/kernels/{deleted}")).status == 204
        await server.gone(deleted)

        session = (await server.start_session(WHOLE)).body
        closed = session["kernel"]["id"]
        await server.lease_in(closed, "waiting")
        assert (await server.ask("DELETE", f"api/sessions/{session['id']}")).status == 204
        await server.gone(closed)

        assert [lease.kernel_id for lease in await user.leases()] == [running]
        assert "Traceback" not in server.log()


@pytest.mark.parametrize(("route", "status"), [("api/sessions", 500), ("api/kernels", 503)])
async def test_with_no_patience_the_refusal_is_said_clearly(
    user: Home, route: str, status: int
) -> None:
    """What is taken, what is free, what of one's own is in the way; no traceback anywhere."""
    blocking = "--AsyncMultiKernelManager.use_pending_kernels=False"
    options = ("--MIGProvisioner.patience_seconds=0", blocking)
    async with serving(user, *options) as server:
        await server.start_session(WHOLE, "train.ipynb")
        body = {"kernel": {"name": SMALL}, "path": "b.ipynb", "type": "notebook", "name": SMALL}
        refused = await server.ask("POST", route, body)
        assert refused.status == status
        first, *_ = refused.message.split("\n")
        assert "1g.5gb" in first
        assert len(first) <= 80
        assert "train" in refused.message
        assert "%" not in refused.message
        assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    ("section", "option", "expected"),
    [
        ("ServerApp", "port", True),
        ("AsyncMultiKernelManager", "use_pending_kernels", None),
        ("AsyncMappingKernelManager", "use_pending_kernels", None),
        ("MyKernelManager", "use_pending_kernels", None),
    ],
)
def test_pending_kernels_are_on_unless_somebody_decided(
    section: str, option: str, *, expected: bool | None
) -> None:
    """Whichever class an administrator configures, also one of their own, is left alone."""
    config = Config({section: {option: False}})
    _link_jupyter_server_extension(cast(ServerApp, SimpleNamespace(config=config)))
    assert config.get("AsyncMultiKernelManager", {}).get("use_pending_kernels") == (
        False if section == "AsyncMultiKernelManager" else expected
    )


@pytest.mark.parametrize(
    ("variable", "value", "kind", "said"),
    [
        ("JUPYTER_MIG_DRIVER", "simulated:1xAbacus", "unknown-driver", "Abacus"),
        ("JUPYTER_MIG_SOCKET", "/nowhere/broker.sock", "broker-unreachable", "/nowhere"),
        ("XDG_RUNTIME_DIR", "/proc/1", "bad-place", "cannot be made"),
    ],
)
async def test_without_a_broker_the_server_works_and_says_why(
    user: Home, variable: str, value: str, kind: str, said: str
) -> None:
    """No sizes, one line in the log, and the routes answer the error; other kernels start."""
    user.environ[variable] = value
    async with serving(user) as server:
        specs = (await server.ask("GET", "api/kernelspecs")).body["kernelspecs"]
        assert list(specs) == ["python3"]
        assert await server.run(await server.start("python3"), "print(1)") == "1\n"
        answer = await server.ask("GET", "jupyter-mig/api/node")
        assert answer.body["kind"] == kind
        (line,) = [line for line in server.log().split("\n") if "jupyter_mig: " in line]
        assert said in line
        assert "Traceback" not in server.log()


async def test_behind_a_gateway_we_stand_aside(user: Home) -> None:
    """Kernels run elsewhere then; sizes of this node would be a lie."""
    async with serving(user, "--GatewayClient.url=http://127.0.0.1:9") as server:
        assert "jupyter_mig: kernels run behind a gateway" in server.log()
