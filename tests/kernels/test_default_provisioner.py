"""Our provisioner for all kernels of a server, and kernels that get no slice of their own."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from jupyter_mig.kernels.provisioner import MIGProvisioner
from tests.server.servers import Home, serving

OURS = "--KernelProvisionerFactory.default_provisioner_name=mig-provisioner"
NESTED = """
import asyncio, sys
from jupyter_client.manager import AsyncKernelManager
async def run(name):
    kernel = AsyncKernelManager(kernel_name=name)
    await kernel.start_kernel()
    client = kernel.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    await client.execute_interactive("import os; print(os.environ['CUDA_VISIBLE_DEVICES'])")
    client.stop_channels()
    await kernel.shutdown_kernel(now=True)
await run(NAME)
"""


async def test_a_kernel_without_a_size_gets_the_default_one(user: Home) -> None:
    """Its kernelspec knows nothing of us."""
    async with serving(user, OURS, "--MIGProvisioner.default_size=2g.10gb") as server:
        kernel = await server.start("python3")
        environment = await server.environment(kernel)
        lease = await server.lease_in(kernel, "bound")
        assert lease.slice is not None
        assert environment["CUDA_VISIBLE_DEVICES"] == lease.slice.mig_uuid
        assert environment["JUPYTER_MIG_PROFILE"] == "2g.10gb"
        server.stop()
    await user.empty()


async def test_without_a_default_size_it_sees_no_gpu_and_no_broker_is_asked(user: Home) -> None:
    """As a plain local kernel: it works where a broker cannot even be started."""
    user.environ["JUPYTER_MIG_SOCKET"] = "/nowhere/broker.sock"
    user.environ["CUDA_VISIBLE_DEVICES"] = "0"
    async with serving(user, OURS) as server:
        kernel = await server.start("python3")
        environment = await server.environment(kernel)
        assert environment["CUDA_VISIBLE_DEVICES"] == ""
        assert environment["NVIDIA_VISIBLE_DEVICES"] == "void"
        assert "JUPYTER_MIG_LEASE" not in environment
        pid = await server.pid(kernel)
        assert (await server.ask("POST", f"api/kernels/{kernel}/restart")).status == 200
        assert await server.pid(kernel) != pid
        assert server.stop() == 0


@pytest.mark.parametrize("in_environment", [True, False])
async def test_a_notebook_run_from_a_notebook_shares_its_slice(
    user: Home, *, in_environment: bool
) -> None:
    """However our provisioner was made the default, for the whole environment or in a file that
    nested programs read too; the slice is all there is, so a second one would never come.
    """
    if in_environment:
        user.environ["JUPYTER_DEFAULT_PROVISIONER_NAME"] = "mig-provisioner"
    async with serving(user, *(() if in_environment else (OURS,))) as server:
        kernel = await server.start("python3-mig-7g.40gb")
        seen = await server.environment(kernel)
        assert "JUPYTER_DEFAULT_PROVISIONER_NAME" not in seen
        again = "import os; os.environ['JUPYTER_DEFAULT_PROVISIONER_NAME'] = 'mig-provisioner'"
        for before in ("", again):
            printed = await server.run(kernel, before + NESTED.replace("NAME", "'python3'"))
            assert printed.split()[-1] == seen["CUDA_VISIBLE_DEVICES"]
        (lease,) = await user.leases()
        assert lease.kernel_id == kernel


@pytest.fixture
def here(user: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """This process is the user's."""
    for name, value in user.environ.items():
        monkeypatch.setenv(name, value)
    return user


async def _started(kernelspec: str, **environment: str) -> tuple[MIGProvisioner, dict[str, Any]]:
    spec = KernelSpecManager().get_kernel_spec(kernelspec)
    provisioner = MIGProvisioner(
        kernel_id="k", kernel_spec=spec, **spec.metadata["kernel_provisioner"]["config"]
    )
    return provisioner, await provisioner.pre_launch(env={**os.environ, **environment})


async def test_a_size_that_the_node_lacks_is_replaced_aloud(
    here: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """By the smallest that covers it: in the log, in the lease, in the kernel's environment."""
    here.kernelspec("h200", "1g.18gb")
    provisioner, launch = await _started("h200", JPY_SESSION_NAME="a.ipynb")
    (lease,) = await here.leases()
    assert lease.slice is not None
    assert (lease.size, lease.slice.profile) == ("3g.20gb", "3g.20gb")
    assert lease.label == "a.ipynb (asked for 1g.18gb)"
    assert launch["env"]["JUPYTER_MIG_INSTEAD_OF"] == "1g.18gb"
    assert "no size 1g.18gb: kernel k gets 3g.20gb" in caplog.text
    await provisioner.cleanup(restart=False)
    await here.empty()


async def test_a_requirement_is_no_replacement(here: Home) -> None:
    """The smallest that satisfies it is what was asked for."""
    here.kernelspec("some", "10gb+")
    provisioner, launch = await _started("some")
    assert launch["env"]["JUPYTER_MIG_PROFILE"] == "1g.10gb"
    assert "JUPYTER_MIG_INSTEAD_OF" not in launch["env"]
    await provisioner.cleanup(restart=False)


async def test_a_lease_is_labelled_with_the_path_that_people_know(user: Home) -> None:
    """The notebook's, as the file browser shows it."""
    (user.notebooks / "deep").mkdir()
    async with serving(user) as server:
        kernel = {"name": "python3-mig-1g.5gb"}
        notebook = {"path": "deep/a.ipynb", "name": "a.ipynb", "type": "notebook"}
        session = (await server.ask("POST", "api/sessions", {**notebook, "kernel": kernel})).body
        lease = await server.lease_in(session["kernel"]["id"], "bound")
        assert lease.label == "deep/a.ipynb"


async def test_a_kernel_that_was_shut_down_holds_no_ports(here: Home) -> None:
    """Though its manager is still there."""
    here.kernelspec("mine", "1g.5gb")
    manager = AsyncKernelManager(kernel_name="mine")
    await manager.start_kernel()
    with pytest.raises(OSError, match="in use"):
        _bind(manager.hb_port)
    await manager.shutdown_kernel(now=True)
    _bind(manager.hb_port)
    await here.empty()


def _bind(port: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
