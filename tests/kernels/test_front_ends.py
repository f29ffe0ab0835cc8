"""Programs that start kernels, as people run them, and kernels that know nothing of us."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.server.environments import Environment
from tests.server.servers import Home, serving, until

SHOW = "import os; print('slice', os.environ.get('JUPYTER_MIG_PROFILE'))"
ROOT = Path(__file__).parents[2]
CONSOLES = 8


@pytest.fixture
def notebook(user: Home) -> Path:
    """A notebook that tells its slice, and a kernelspec for it."""
    user.kernelspec("mine", "1g.5gb")
    cell = {"cell_type": "code", "metadata": {}, "source": SHOW, "outputs": [], "id": "a"}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}}
    path = user.notebooks / "in.ipynb"
    path.write_text(json.dumps({**content, "cells": [{**cell, "execution_count": None}]}))
    return path


async def _ran(user: Home, *command: str, **environment: str) -> str:
    """Run a program of Python's; what it wrote on stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *command),
        env={**user.environ, **environment},
        cwd=user.notebooks,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    _, written = await process.communicate()
    assert process.returncode == 0, written.decode()
    return written.decode()


def _printed(notebook: Path) -> str:
    content: dict[str, Any] = json.loads(notebook.read_text())
    return "".join("".join(output["text"]) for output in content["cells"][0]["outputs"])


async def test_nbconvert(user: Home, notebook: Path) -> None:
    """The kernel is named on the command line."""
    choice = "--ExecutePreprocessor.kernel_name=mine"
    await _ran(user, "nbconvert", "--execute", "--to=notebook", "--output=out", choice, "in.ipynb")
    assert _printed(notebook.with_name("out.ipynb")) == "slice 1g.5gb\n"
    await user.empty()


async def test_papermill(user: Home, notebook: Path) -> None:
    """The same."""
    await _ran(user, "papermill", "--kernel=mine", "in.ipynb", "out.ipynb")
    assert _printed(notebook.with_name("out.ipynb")) == "slice 1g.5gb\n"
    await user.empty()


async def test_any_kernel_of_any_program_by_two_variables(user: Home, notebook: Path) -> None:
    """Without installing a kernelspec or writing a configuration file."""
    variables = {
        "JUPYTER_DEFAULT_PROVISIONER_NAME": "mig-provisioner",
        "JUPYTER_MIG_DEFAULT_SIZE": "2g.10gb",
    }
    await _ran(user, "papermill", "--kernel=python3", "in.ipynb", "out.ipynb", **variables)
    assert _printed(notebook.with_name("out.ipynb")) == "slice 2g.10gb\n"
    await user.empty()


@asynccontextmanager
async def _console(user: Home, *options: str) -> AsyncIterator[Any]:
    """A console in a terminal, ready for input."""
    before = await user.leases()

    async def gone() -> bool:
        return len(await user.leases()) == len(before)

    for _ in range(CONSOLES):
        terminal = await _opened(user, options)
        try:
            if await _answers(terminal):
                yield terminal
                return
        finally:
            terminal.close(force=True)
        await until(gone, "for the console's lease to end")
    pytest.fail(f"none of {CONSOLES} consoles answered")


async def _opened(user: Home, options: tuple[str, ...]) -> Any:
    arguments = ["-m", "jupyter_console", "--simple-prompt", *options]
    terminal = pexpect.spawn(
        sys.executable, arguments, env=user.environ, encoding="utf-8", timeout=60
    )
    await _expect(terminal, r"In \[\d+\]:")
    return terminal


async def _answers(console: Any) -> bool:
    """Stock consoles on stock kernels, too, sometimes never see the answer to their first input."""
    console.sendline("1 + 1")
    return await _expect(console, [r"Out\[\d+\]: 2", pexpect.TIMEOUT], timeout=10) == 0


async def _expect(console: Any, what: Any, timeout: float = 60) -> int:
    found: int = await asyncio.to_thread(console.expect, what, timeout)
    return found


async def _typed(console: Any) -> str:
    console.sendline(SHOW)
    await _expect(console, r"\nslice (\S+)")
    return str(console.match.group(1))


async def test_console(user: Home, notebook: Path) -> None:
    """Its kernel has a slice until the console is left."""
    async with _console(user, "--kernel=mine") as console:
        assert await _typed(console) == "1g.5gb"
        (lease,) = await user.leases()
        assert lease.state == "bound"
        console.sendline("exit")
        await _expect(console, pexpect.EOF)
    await user.empty()


async def test_a_console_on_a_notebooks_kernel_shares_its_slice(user: Home) -> None:
    """One kernel, one lease, whoever talks to it; it ends with the kernel, not with the console."""
    async with serving(user) as server:
        kernel = await server.start("python3-mig-1g.10gb")
        lease = await server.lease_in(kernel, "bound")
        file = user.directory / "jupyter" / f"kernel-{kernel}.json"
        async with _console(user, f"--existing={file}") as console:
            assert await _typed(console) == "1g.10gb"
            assert [each.lease_id for each in await user.leases()] == [lease.lease_id]
        assert "1g.10gb" in await server.run(kernel, SHOW)
        await server.ask("DELETE", f"api/kernels/{kernel}")
        await user.empty()


async def test_two_sessions_on_one_kernel_have_one_lease(user: Home) -> None:
    """A console opened beside a notebook, as JupyterLab and VS Code ask for it."""
    async with serving(user) as server:
        notebook = (await server.start_session("python3-mig-1g.10gb", "a.ipynb")).body
        kernel = notebook["kernel"]["id"]
        body = {"path": "console-1", "name": "a", "type": "console", "kernel": {"id": kernel}}
        console = (await server.ask("POST", "api/sessions", body)).body
        assert console["kernel"]["id"] == kernel
        await server.lease_in(kernel, "bound")
        assert len(await user.leases()) == 1
        for session in (console, notebook):
            await server.ask("DELETE", f"api/sessions/{session['id']}")
        await user.empty()


async def test_a_kernel_of_another_environment(user: Home) -> None:
    """It needs nothing of ours installed: it has a slice of its own and keeps it over a restart."""
    other = Environment(user.directory / "other")
    argv = (other.python, "-m", "ipykernel_launcher", "-f", "{connection_file}")
    user.kernelspec("other", "1g.5gb", *argv, PYTHONPATH="")
    look = "import importlib.util, sys; print(importlib.util.find_spec('jupyter_mig'), sys.prefix)"
    async with serving(user) as server:
        kernel = await server.start("other")
        assert (await server.run(kernel, look)).split() == ["None", str(other.prefix)]
        before = await server.lease_in(kernel, "bound")
        await server.ask("POST", f"api/kernels/{kernel}/restart")
        assert "1g.5gb" in await server.run(kernel, SHOW)
        after = await server.lease_in(kernel, "bound")
        assert (after.lease_id, after.slice) == (before.lease_id, before.slice)
        assert after.kernel_pid != before.kernel_pid
        await server.ask("DELETE", f"api/kernels/{kernel}")
        await user.empty()


async def test_a_kernel_of_another_language(user: Home) -> None:
    """A shell sees its slice as every program that it starts does."""
    argv = (sys.executable, "-m", "bash_kernel", "-f", "{connection_file}")
    user.kernelspec("bash", "1g.5gb", *argv)
    async with serving(user) as server:
        kernel = await server.start("bash")
        printed = await server.run(kernel, "echo $CUDA_VISIBLE_DEVICES; echo $JUPYTER_MIG_PROFILE")
        lease = await server.lease_in(kernel, "bound")
        assert lease.slice is not None
        assert printed.split() == [lease.slice.mig_uuid, "1g.5gb"]
        await server.ask("DELETE", f"api/kernels/{kernel}")
        await user.empty()


async def test_the_protocols_own_tests(user: Home, notebook: Path) -> None:
    """jupyter_kernel_test, complete, against a kernel with a slice."""
    environment = {**user.environ, "PYTHONWARNINGS": "ignore"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "unittest", "tests.kernels.protocol"),
        env=environment,
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    _, written = await process.communicate()
    ran = re.search(rb"Ran (\d+) tests", written)
    assert process.returncode == 0, written.decode()
    assert ran is not None
    assert int(ran[1]) >= 12, written.decode()
    await user.empty()
