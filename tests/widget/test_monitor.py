"""The monitor in a real kernel on a real (simulated) slice, heard as a front end hears it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import nbformat
import pytest_asyncio

from jupyter_mig.kernels.environment import with_slice
from jupyter_mig.wire.messages import LeaseRequest
from tests.server.servers import Home, serving
from tests.widget.tab import Tab

SHOW = "from jupyter_mig import SliceMonitor; monitor = SliceMonitor(); monitor"

LOOKS = """
import threading, time
from jupyter_mig.widget.monitor import _reader
from jupyter_mig.widget.curve import COLUMN_SECONDS

class Count:
    def __init__(self, enough):
        self.enough, self.over = enough, threading.Event()
    def show(self, sight):
        self.enough -= 1
        if self.enough == 0:
            self.over.set()

def looks(number):
    '''Return after so many looks; a cell that runs meanwhile.'''
    count = Count(number)
    _reader()._every_seconds = 0.05
    _reader().follow(count)
    assert count.over.wait(30)
    _reader().leave(count)

def to_the_next_column():
    '''The curve moves on every ten seconds: not during what comes now.'''
    column = time.monotonic() // COLUMN_SECONDS
    while time.monotonic() // COLUMN_SECONDS == column:
        looks(1)
    looks(2)
"""


@pytest_asyncio.fixture
async def tab(user: Home) -> AsyncIterator[Tab]:
    """A tab on a kernel with a slice of 5 GB, where looks can be counted."""
    user.kernelspec("mine", "1g.5gb")
    async with serving(user) as server:
        kernel_id = await server.start("mine")
        tab = await Tab.open(server, kernel_id)
        try:
            await tab.run(LOOKS)
            yield tab
        finally:
            tab.close()
            await server.ask("DELETE", f"api/kernels/{kernel_id}")
            await user.empty()
        # A kernel that ends under a monitor, in whatever state, ends cleanly.
        assert "Traceback" not in server.log()


async def test_it_shows_the_slice_at_once(tab: Tab) -> None:
    """Also as text, for front ends without widgets."""
    assert (await tab.run(SHOW)).startswith("1g.5gb on GPU 0 (simulated): 0.")
    assert any("1g.5gb on GPU 0" in value and "of 4.8 GiB" in value for value in tab.values)


async def test_it_follows_while_a_cell_runs(tab: Tab) -> None:
    """A cell that fills memory is watched by the thread, not after it."""
    await tab.run(SHOW)
    tab.forget()
    await tab.run("held = b'1' * 2**29; looks(30)")
    assert any(value.startswith("1g.5gb on GPU 0") for value in tab.values)
    assert max(_gib(value) for value in tab.values) >= 0.5


def _gib(value: str) -> float:
    return float(value.partition(" of 4.8 GiB")[0].split()[-1])


async def test_it_sends_nothing_while_nothing_changes(tab: Tab) -> None:
    """Not one message in fifty looks: an idle kernel with a monitor can be culled as idle."""
    await tab.run(SHOW)
    await tab.run("to_the_next_column()")
    tab.forget()
    await tab.run("looks(50)")
    assert tab.comm_messages == 0


async def test_monitors_share_one_thread_that_ends_with_them(tab: Tab) -> None:
    """However many are shown, one looks; closed, none does, and nothing more is sent."""
    names = "[one.name for one in threading.enumerate() if one.name.startswith('jupyter-mig')]"
    await tab.run(f"{SHOW}; other = SliceMonitor()")
    assert await tab.run(names) == "['jupyter-mig-reader']"
    await tab.run(
        "thread, = [one for one in threading.enumerate() if one.name == 'jupyter-mig-reader']\n"
        "monitor.close(); other.close(); thread.join(10)"
    )
    assert await tab.run(names) == "[]"
    await tab.run(SHOW)
    assert await tab.run(names) == "['jupyter-mig-reader']"


async def test_a_broker_that_dies_is_said_and_the_next_one_followed(user: Home, tab: Tab) -> None:
    """The slice is still the kernel's, and readings go on with the next broker."""
    await tab.run(SHOW)
    await tab.run("looks(1)")
    os.kill(await user.broker_pid(), signal.SIGKILL)
    await tab.until_shown("still yours")
    tab.forget()
    await user.leases()  # whoever asks starts the next one
    await tab.until_shown("of 4.8 GiB")
    assert "still yours" not in tab.values[-1]


async def test_the_key_opens_nothing_for_a_reader_of_the_notebook(user: Home, tab: Tab) -> None:
    """It is in no message that a front end would save, nor in the broker's or server's log."""
    await tab.run(SHOW)
    key = await tab.run("import os; print(os.environ['JUPYTER_MIG_KEY'])")
    logs = [user.directory / "server.log", user.broker_dir / "broker.log"]
    assert len(key.strip()) == 64
    assert not any(key.strip() in log.read_text() for log in logs)
    assert not any(key.strip() in value for value in tab.values)


async def _run(user: Home, *command: str, **environ: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**user.environ, **environ},
        cwd=user.notebooks,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


def _notebook(path: Path, *cells: str) -> None:
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=made)  # type: ignore[no-untyped-call]
    notebook.metadata.kernelspec = {"name": "mine", "display_name": "mine"}
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


async def test_a_converted_notebook_shows_one_line(user: Home) -> None:
    """It is run without our server, and keeps the text."""
    user.kernelspec("mine", "1g.5gb")
    _notebook(user.notebooks / "in.ipynb", SHOW)
    convert = (sys.executable, "-m", "nbconvert", "--execute")
    await _run(user, *convert, "--to", "markdown", "in.ipynb")
    text = (user.notebooks / "in.md").read_text()
    assert "    1g.5gb on GPU 0 (simulated): 0." in text
    assert "of 4.8 GiB" in text
    await user.empty()


PROGRAM = """
import json
from jupyter_mig import SliceMonitor, current_slice
print(json.dumps([SliceMonitor()._repr_mimebundle_()["text/plain"], current_slice() is not None]))
"""


async def test_a_command_on_a_slice_has_it_too(user: Home) -> None:
    """`jupyter mig run` gives a program the key, and there is no kernel at all."""
    command = ("-m", "jupyter_mig.cli", "run", "--size", "1g.5gb", "--", sys.executable)
    output = await _run(user, sys.executable, *command, "-c", PROGRAM)
    text, found = json.loads(output.splitlines()[-1])
    assert "Traceback" not in output
    assert text.startswith("1g.5gb on GPU 0 (simulated): 0.0 of 4.8 GiB")
    assert found


async def test_with_variables_alone_it_says_what_it_cannot_show(user: Home) -> None:
    """A container that was given the environment and not the socket."""
    variables = {
        "JUPYTER_MIG_LEASE": "L",
        "JUPYTER_MIG_PROFILE": "1g.5gb",
        "JUPYTER_MIG_GPU_INDEX": "0",
        "JUPYTER_MIG_MEMORY_BYTES": str(5 << 30),
    }
    output = await _run(user, sys.executable, "-c", PROGRAM, **variables)
    text, _ = json.loads(output.splitlines()[-1])
    assert text.startswith("1g.5gb on GPU 0: Memory 5.0 GiB in all. This program was given no key")
    elsewhere = {"JUPYTER_MIG_KEY": "K", "JUPYTER_MIG_SOCKET": str(user.directory / "none")}
    output = await _run(user, sys.executable, "-c", PROGRAM, **variables, **elsewhere)
    text, _ = json.loads(output.splitlines()[-1])
    assert "The broker does not answer." in text


async def test_a_lease_that_ended_is_said(user: Home) -> None:
    """To a program that outlived its lease."""
    lease = await user.client.acquire(LeaseRequest("k", "1g.5gb", patience_seconds=20))
    assert lease.slice is not None
    key = await user.client.key(lease.lease_id)
    environ = with_slice(
        {}, lease.slice, lease_id=lease.lease_id, key=key, socket=user.client.socket, simulated=True
    )
    await user.client.release(lease.lease_id)
    await user.empty()
    output = await _run(user, sys.executable, "-c", PROGRAM, **environ)
    assert "The lease is over: its slice is no longer yours." in output
    assert "of 4.8 GiB" not in output
