"""The nine ways on which a slice is lost if one only trusts ``cleanup(restart=False)``.

Each ends with zero leases and zero instances, as the broker and the simulated silicon say.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from tornado.httpclient import HTTPError
from tornado.simple_httpclient import HTTPTimeoutError

from jupyter_mig.kernels.refusals import StartRefused
from jupyter_mig.wire.messages import LeaseRequest
from tests.server.servers import Home, Server, serving, until

SMALL = "python3-mig-1g.5gb"
WHOLE = "python3-mig-7g.40gb"
BLOCKING = "--AsyncMultiKernelManager.use_pending_kernels=False"
NO_PATIENCE = "--MIGProvisioner.patience_seconds=0"
QUICK_DEATH = "--KernelRestarter.time_to_dead=0.2"
_NOTEBOOK = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}}


async def _occupied(user: Home) -> str:
    """The whole GPU held by somebody else of ours; the lease."""
    request = LeaseRequest(kernel_id="other", size="7g.40gb", label="other.ipynb")
    return (await user.client.acquire(request)).lease_id


async def _ends_at_once(server: Server) -> None:
    """One SIGTERM is enough: no failed start is left on Jupyter's list."""
    assert server.stop() == 0


@pytest.mark.parametrize("options", [(), (BLOCKING,)])
async def test_pre_launch_raises(user: Home, options: tuple[str, ...]) -> None:
    """1. Jupyter calls nothing more: not even what it calls to end a kernel."""
    async with serving(user, NO_PATIENCE, *options) as server:
        other = await _occupied(user)
        reply = await server.start_session(WHOLE)
        assert reply.status == (500 if options else 201)
        await until(lambda: _only(user, other), "for the refused lease to be over")
        await user.client.release(other)
        await _ends_at_once(server)
    await user.empty()


async def _only(user: Home, lease_id: str) -> bool:
    return [lease.lease_id for lease in await user.leases()] == [lease_id]


@pytest.mark.parametrize("options", [(), (BLOCKING,)])
async def test_launch_kernel_raises(user: Home, options: tuple[str, ...]) -> None:
    """1. The slice is there, the program to start is not."""
    user.kernelspec("broken", "1g.5gb", "/nonexistent/python")
    async with serving(user, *options) as server:
        await server.start_session("broken")
        await until(lambda: _logged(server, "/nonexistent/python"), "for the launch to fail")
        await user.empty()
        await _ends_at_once(server)
    await user.empty()


async def _logged(server: Server, text: str) -> bool:
    return text in server.log()


@pytest.mark.parametrize("argv", [(), ("/nonexistent/python",)])
async def test_without_a_server(
    user: Home, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    """2. nbclient cleans up twice after a success, and once when nothing has run."""
    user.kernelspec("mine", "1g.5gb", *argv)
    for name, value in user.environ.items():
        monkeypatch.setenv(name, value)
    code = "import os; print(os.environ['JUPYTER_MIG_PROFILE'])"
    cell = {"cell_type": "code", "metadata": {}, "source": code, "outputs": [], "id": "a"}
    content = {**_NOTEBOOK, "cells": [{**cell, "execution_count": None}]}
    notebook = nbformat.reads(json.dumps(content), as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, kernel_name="mine")
    if argv:
        with pytest.raises(FileNotFoundError):
            await client.async_execute()
    else:
        await client.async_execute()
        assert notebook.cells[0].outputs[0].text == "1g.5gb\n"
    await user.empty()


async def test_a_refusal_without_a_server(user: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """2. A kernel manager of its own gets the refusal as an exception that reads well."""
    user.kernelspec("mine", "9g.99gb")
    for name, value in user.environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StartRefused, match=r"9g\.99gb"):
        await AsyncKernelManager(kernel_name="mine").start_kernel()
    await user.empty()


async def test_died_five_times(user: Home) -> None:
    """3. Jupyter gives the kernel up and calls nothing; the slice is free at once."""
    user.kernelspec("mortal", "1g.5gb", sys.executable, "-c", "import time; time.sleep(0.3)")
    async with serving(user, QUICK_DEATH) as server:
        kernel = await server.start("mortal")
        await server.gone(kernel)
        await user.empty()


async def test_a_restart_that_fails_and_the_delete_after_it(user: Home) -> None:
    """4 and 5. The lease was taken away and the GPU given to others: the restart is refused, and
    ending such a kernel, for which Jupyter calls nothing, leaves nothing.
    """
    async with serving(user, NO_PATIENCE, QUICK_DEATH) as server:
        kernel = await server.start(WHOLE)
        await server.run(kernel, "1")
        lease = await server.lease_in(kernel, "bound")
        await user.client.release(lease.lease_id)
        request = LeaseRequest("other", "7g.40gb", patience_seconds=60)
        other = (await user.client.acquire(request)).lease_id
        with suppress(ProcessLookupError):  # the broker empties a slice that was given back, too
            os.kill(lease.kernel_pid or 0, signal.SIGKILL)
        assert "7g.40gb" in await server.dead(kernel)
        assert await _only(user, other)
        assert (await server.ask("DELETE", f"api/kernels/{kernel}")).status == 204
        await server.gone(kernel)
        await user.client.release(other)
        await user.empty()
        await _ends_at_once(server)


async def test_the_server_is_killed(user: Home) -> None:
    """6. No line of ours runs: the broker sees the processes go. One start waits meanwhile."""
    async with serving(user) as server:
        kernel = await server.start(WHOLE)
        await server.run(kernel, "1")
        await server.lease_in(await server.start(WHOLE), "waiting")
        server.stop(signal.SIGKILL)
    await user.empty()


async def test_the_asker_gives_up_while_its_request_waits(user: Home) -> None:
    """7. Without pending kernels the request blocks; when it is over nobody has a kernel for it."""
    async with serving(user, BLOCKING, "--MIGProvisioner.patience_seconds=1") as server:
        other = await _occupied(user)
        with pytest.raises((HTTPError, HTTPTimeoutError)):
            await server.ask("POST", "api/kernels", {"name": WHOLE}, timeout=0.5)
        await until(lambda: _only(user, other), "for the wait to be over")
        await user.client.release(other)
        await user.empty()
        await _ends_at_once(server)


async def test_the_last_tab_goes_while_its_kernel_waits(user: Home) -> None:
    """7. With pending kernels the wait is called off a while after the websocket has gone; a
    kernel that never had one, as those of scripts, is left alone.
    """
    options = ("--MIGStarts.abandoned_seconds=0.5", "--MIGStarts.watch_seconds=0.1")
    async with serving(user, *options) as server:
        other = await _occupied(user)
        script = await server.start(WHOLE)
        await server.lease_in(script, "waiting")
        seen = await server.start(WHOLE)
        tab = await server.knock(seen)
        await asyncio.sleep(1.5)  # not to wait for anything: to be longer than abandoned_seconds
        assert (await server.lease_in(seen, "waiting")).place == 2
        tab.close()
        await server.gone(seen)
        assert (await server.lease_in(script, "waiting")).place == 1
        await server.ask("DELETE", f"api/kernels/{script}")
        await user.client.release(other)
        await user.empty()


async def test_a_switch_that_fails(user: Home) -> None:
    """8. The old kernel goes on with its slice; JupyterLab shows No Kernel, and ends it later."""
    async with serving(user, NO_PATIENCE, BLOCKING) as server:
        session = (await server.start_session(SMALL)).body
        old = session["kernel"]["id"]
        body = {"kernel": {"name": WHOLE}}
        reply = await server.ask("PATCH", f"api/sessions/{session['id']}", body)
        assert reply.status == 501
        assert "7g.40gb" in reply.message
        assert await server.run(old, "print(1)") == "1\n"
        assert [lease.kernel_id for lease in await user.leases()] == [old]
        await server.ask("DELETE", f"api/sessions/{session['id']}")
        await user.empty()
        await _ends_at_once(server)
