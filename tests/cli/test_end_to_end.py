"""The command line as a process, against a broker as a process, on a simulated node."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from jupyter_mig.cli.exits import Exit
from jupyter_mig.client import Client, Settings
from jupyter_mig.wire.messages import BrokerView, LeaseRequest, LeaseView, NodeView
from tests.cli.nodes import MIG, CommandLine, simulated


@pytest.fixture(scope="module")
def mig() -> Iterator[CommandLine]:
    """One node for all tests of this file; each leaves it empty."""
    with simulated() as command_line:
        yield command_line


@pytest.fixture
def client(mig: CommandLine) -> Iterator[Client]:
    """What a Jupyter server would be: it asks for slices."""
    client = Client(Settings.from_environment(mig.environ))
    yield client
    client.close()


def wish(label: str, size: str = "1g.5gb") -> LeaseRequest:
    """A request that waits for as long as a test may."""
    return LeaseRequest(kernel_id=label, size=size, label=label, patience_seconds=60)


async def run(mig: CommandLine, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line while the event loop goes on."""
    return await asyncio.to_thread(mig, *arguments, code=code)


async def test_a_lease_is_seen_and_released(mig: CommandLine, client: Client) -> None:
    """leases, status and sizes tell of it, release ends it, and then they tell of nothing."""
    lease = await client.acquire(wish("work/train.ipynb", "2g.10gb"))
    assert lease.slice is not None
    listed = await run(mig, "leases", "--json")
    (seen,) = msgspec.json.decode(listed.stdout, type=list[LeaseView])
    assert (seen.lease_id, seen.slice, seen.label) == (lease.lease_id, lease.slice, lease.label)
    assert lease.slice.mig_uuid in (await run(mig, "leases")).stdout
    assert "# train 2g.10gb #" in (await run(mig, "status")).stdout.replace("█", "#")
    assert "5 of 6" in (await run(mig, "status")).stdout
    done = await run(mig, "release", "train")
    assert done.stdout.startswith("Released 2g.10gb on GPU ")
    await client.lease(lease.lease_id, seen=lease.version, wait_seconds=30)
    assert json.loads((await run(mig, "leases", "--json")).stdout) == []
    assert "You hold no slice" in (await run(mig, "leases")).stdout


async def test_a_waiting_request_is_seen_and_taken_back(mig: CommandLine, client: Client) -> None:
    """The third whole GPU on a node of two waits; its line says where, release takes it back."""
    held = [await client.acquire(wish(f"{number}.ipynb", "7g.40gb")) for number in (1, 2)]
    waiting = await client.request(wish("sweep.ipynb", "7g.40gb"))
    assert waiting.state == "waiting"
    assert "sweep.ipynb waits for 7g.40gb: 1st in line" in (await run(mig, "leases")).stdout
    assert "Waiting: 1 request" in (await run(mig, "status")).stdout
    done = await run(mig, "release", waiting.lease_id)
    assert done.stdout == "Took back the request of sweep.ipynb for 7g.40gb.\n"
    for lease in held:
        await run(mig, "release", lease.lease_id, "--json")
    assert json.loads((await run(mig, "leases", "--json")).stdout) == []


def test_every_page_says_simulated(mig: CommandLine) -> None:
    """Above everything else."""
    for verb in ("status", "sizes", "leases"):
        assert mig(verb).stdout.startswith("SIMULATED NVIDIA GPUs: no hardware is used\n")


def test_json_is_what_the_broker_says(mig: CommandLine) -> None:
    """Status and sizes read back as the views they are."""

    class Status(msgspec.Struct):
        broker: BrokerView
        socket: str
        node: NodeView

    status = msgspec.json.decode(mig("status", "--json").stdout, type=Status)
    assert status.broker.simulated
    assert Path(status.socket).is_socket()
    assert [gpu.units for gpu in status.node.gpus] == [8, 8]
    sizes = json.loads(mig("sizes", "--json").stdout)
    assert [size["size"] for size in sizes] == [size.size for size in status.node.sizes]
    assert all(size["models"] == ["NVIDIA A100-SXM4-40GB"] for size in sizes)


def test_ascii_is_enough(mig: CommandLine) -> None:
    """In a C locale nothing but ASCII is printed."""
    assert mig("status", LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii").stdout.isascii()


def test_a_terminal_gets_colours(mig: CommandLine) -> None:
    """A real pseudo-terminal, and none with NO_COLOR."""
    for extra, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        far, near = pty.openpty()
        environ = {**mig.environ, "TERM": "xterm", "COLUMNS": "80", **extra}
        subprocess.run([*MIG, "status"], env=environ, stdout=near, check=True, timeout=60)
        os.close(near)
        assert (b"\x1b[" in os.read(far, 65536)) is coloured
        os.close(far)


def test_an_unknown_lease_is_a_refusal(mig: CommandLine) -> None:
    """Status 3, and one message."""
    done = mig("release", "deadbeef", code=Exit.REFUSED)
    assert done.stderr == (
        "jupyter mig: You have no lease deadbeef.\nYou hold no slice and wait for none.\n"
    )
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("driver", "code", "word"),
    [
        ("nvml", Exit.UNUSABLE, "To try everything without a GPU"),
        ("simulated:1xGTX", Exit.USAGE, "there is no simulated GPU called GTX"),
        ("teapot", Exit.USAGE, "teapot"),
    ],
)
def test_a_driver_that_cannot_be_used_is_said(
    mig: CommandLine, driver: str, code: Exit, word: str
) -> None:
    """No driver (this machine has none), no such model, no such driver: what, and what next."""
    done = mig("status", code=code, JUPYTER_MIG_DRIVER=driver)
    assert word in done.stderr
    assert len(done.stderr.splitlines()) <= 5


def test_a_broker_that_is_not_there_is_said(mig: CommandLine, tmp_path: Path) -> None:
    """A socket that was named is never replaced by a broker of our own."""
    mig("leases", code=Exit.UNUSABLE, JUPYTER_MIG_SOCKET=str(tmp_path / "none.sock"))


@pytest.mark.parametrize("arguments", [(), ("teapot",), ("release",), ("status", "--colour")])
def test_usage_is_status_two(mig: CommandLine, arguments: tuple[str, ...]) -> None:
    """What argparse cannot understand."""
    assert "usage: jupyter mig" in mig(*arguments, code=Exit.USAGE).stderr


def test_control_c_is_quiet(mig: CommandLine) -> None:
    """A broker that never answers, and a user who has seen enough."""
    with socket.socket(socket.AF_UNIX) as mute:
        path = f"{mig.environ['XDG_RUNTIME_DIR']}/mute.sock"
        mute.bind(path)
        mute.listen()
        with subprocess.Popen(
            [*MIG, "status"],
            env={**mig.environ, "JUPYTER_MIG_SOCKET": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            with mute.accept()[0]:
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=30)[0] == ""
            assert process.returncode == Exit.INTERRUPTED


def test_a_reader_that_leaves_is_no_error(mig: CommandLine) -> None:
    """``jupyter mig status | true`` prints nothing about pipes."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*MIG, "status"], env=mig.environ, stdout=writing, stderr=subprocess.PIPE, timeout=60,
        check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (Exit.NOBODY_READS, b"")


def test_kernelspecs_come_and_go(mig: CommandLine) -> None:
    """``install`` writes what was asked for, list shows it, remove takes it away."""
    written = mig("kernels", "install", "--sizes", "1g.5gb,2g.10gb", "3g.20gb").stdout
    assert "Installed 3 kernelspecs." in written
    assert "SIMULATED" in written
    listed = json.loads(mig("kernels", "list", "--json").stdout)
    names = ["python3-mig-1g.5gb", "python3-mig-2g.10gb", "python3-mig-3g.20gb"]
    assert [spec["name"] for spec in listed] == names
    mig("kernels", "remove", names[0], "nonsense", code=Exit.USAGE)
    mig("kernels", "remove", names[0])
    assert names[0] not in mig("kernels", "list").stdout
    mig("kernels", "remove", "--all")
    assert "No kernelspecs of ours" in mig("kernels", "list").stdout


def test_a_size_that_is_not_there_installs_nothing(mig: CommandLine) -> None:
    """The message lists those that are."""
    done = mig("kernels", "install", "--sizes", "9g.99gb", code=Exit.USAGE)
    assert "7g.40gb" in done.stderr
    assert json.loads(mig("kernels", "list", "--json").stdout) == []


def test_a_prefix_that_cannot_be_written_is_said(mig: CommandLine) -> None:
    """One line, whoever runs it: below a file there is no directory."""
    done = mig("kernels", "install", "--prefix", "/dev/null", code=Exit.FAILED)
    assert "Cannot write /dev/null/share/jupyter/kernels" in done.stderr
