"""``jupyter mig run``: real commands on slices of a simulated node, and what becomes of those."""

from __future__ import annotations

import asyncio
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mig.cli import program
from jupyter_mig.cli.exits import Exit
from jupyter_mig.client import Client, Settings
from jupyter_mig.errors import LeaseEnded
from jupyter_mig.wire.messages import LeaseRequest
from tests.broker.brokers import gone, until
from tests.cli.killed_run import MOMENTS
from tests.cli.nodes import MIG, CommandLine
from tests.cli.screens import shell
from tests.cli.watching import lease_in, of_process, started

RUN = (*MIG, "run", "--size", "7g.40gb", "--")
TYPED = shlex.join(RUN)
SIMULATED = "SIMULATED NVIDIA GPUs: no hardware is used\n"


def state_of(pid: int | None) -> str:
    """A process's state in one letter: T is stopped by a signal."""
    return of_process(pid, "stat").rpartition(")")[2].split()[0]


async def line_from(process: subprocess.Popen[str]) -> str:
    """The next line that the command prints."""
    assert process.stdout
    return (await asyncio.to_thread(process.stdout.readline)).strip()


def test_a_command_finds_its_slice(mig: CommandLine) -> None:
    """What kernels find, and what was there before; only the simulation is announced, on stderr."""
    done = mig("run", "--size", "1g.5gb", "--", "env", OWN="kept")
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert found["CUDA_VISIBLE_DEVICES"] == found["JUPYTER_MIG_UUID"]
    assert found["CUDA_VISIBLE_DEVICES"].startswith("MIG-")
    assert (found["JUPYTER_MIG_PROFILE"], found["JUPYTER_MIG_SIMULATED"]) == ("1g.5gb", "1")
    assert found["OWN"] == "kept"
    assert done.stderr == SIMULATED


async def test_the_lease_hangs_on_the_command(mig: CommandLine, client: Client) -> None:
    """It is bound to the very process that was started, which is the command; and ends with it."""
    with started(mig, *RUN, "cat", "-") as process:
        lease = await lease_in(client, "bound", "cat")
        assert lease.kernel_pid == process.pid

        async def became_it() -> bool:
            return of_process(process.pid, "cmdline") == "cat\0-\0"

        await until(became_it)
        assert process.communicate("through\n", timeout=30)[0] == "through\n"
        assert process.returncode == 0


async def test_the_first_command_does_not_become_the_brokers_parent(fresh: CommandLine) -> None:
    """Where none runs yet, ``run`` has one started: a child that no program expects."""
    with started(fresh, *RUN, "cat") as process:
        client = Client(Settings.from_environment(fresh.environ))
        await lease_in(client, "bound", "cat")
        assert of_process(process.pid, f"task/{process.pid}/children") == ""
        client.close()


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_exit_status_is_the_commands(mig: CommandLine, status: int) -> None:
    """Whatever it is."""
    mig("run", "--size", "1g.5gb", "--", "sh", "-c", f"exit {status}", code=status)


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "CONT"])
async def test_signals_are_the_commands(mig: CommandLine, client: Client, name: str) -> None:
    """Sent to the process that was started, they arrive at the command."""
    script = f"trap 'echo heard; exit 9' {name}; echo ready; while :; do sleep 0.01; done"
    with started(mig, *RUN, "sh", "-c", script) as process:
        assert await line_from(process) == "ready"
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert await line_from(process) == "heard"
        assert process.wait(30) == 9


async def test_a_request_taken_back_says_how_to_ask_again(
    mig: CommandLine, client: Client, full: None
) -> None:
    """Somebody releases it while it waits: it is a command that may be run again, not a kernel."""
    with started(mig, *RUN, "cat") as process:
        lease = await lease_in(client, "waiting", "cat")
        await client.release(lease.lease_id)
        said = process.communicate(timeout=30)[1].splitlines()
    assert said[-2:] == [
        "jupyter mig: The request for 7g.40gb was taken back.",
        "Run the command again to get another slice.",
    ]
    assert process.returncode == Exit.REFUSED


async def test_death_by_a_signal_is_death_by_a_signal(mig: CommandLine, client: Client) -> None:
    """A shell makes 128+N of it."""
    with started(mig, *RUN, "cat") as process:
        await lease_in(client, "bound", "cat")
        process.kill()
        assert process.wait(30) == -signal.SIGKILL


def test_a_command_is_run_as_if_directly(mig: CommandLine) -> None:
    """Signals ignored or blocked, open files, directory: all as without us."""
    look = (
        "sh",
        "-c",
        "grep -E ^Sig[BIC] /proc/self/status; ls /proc/self/fd; pwd; umask; ulimit -a",
    )
    direct = subprocess.run(look, env=mig.environ, capture_output=True, text=True, check=True)
    assert mig("run", "--size", "1g.5gb", "--", *look).stdout == direct.stdout


def test_what_is_no_command_is_not_waited_for(mig: CommandLine, tmp_path: Path) -> None:
    """127 and 126 as shells say, before any broker is asked: here none can be."""
    plain = tmp_path / "plain"
    plain.touch()
    for name, status, words in (
        ("teapot", Exit.NO_COMMAND, "There is no command teapot."),
        (f"{tmp_path}/none", Exit.NO_COMMAND, "There is no command"),
        (str(plain), Exit.NOT_EXECUTABLE, "is not an executable file."),
        (str(tmp_path), Exit.NOT_EXECUTABLE, "is not an executable file."),
        ("plain", Exit.NOT_EXECUTABLE, "plain is not an executable file."),
    ):
        done = mig(
            "run", "--size", "1g.5gb", "--", name,
            code=status, JUPYTER_MIG_DRIVER="teapot", PATH=f"{tmp_path}:/nowhere",
        )  # fmt: skip
        assert words in done.stderr
        assert done.stdout == ""


async def test_what_turns_out_to_be_no_command_leaves_no_slice(
    mig: CommandLine, client: Client, tmp_path: Path
) -> None:
    """The kernel of the system says so after the slice is there: bad interpreter, bad format."""
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o700)
    mig("run", "--size", "7g.40gb", "--", str(script), code=Exit.NO_COMMAND)
    script.write_bytes(b"\x7fELF" + bytes(100))
    mig("run", "--size", "7g.40gb", "--", str(script), code=Exit.NOT_EXECUTABLE)


def test_a_script_without_interpreter_runs(mig: CommandLine, tmp_path: Path) -> None:
    """As it does from a shell."""
    script = tmp_path / "script"
    script.write_text("echo $0 $1 $JUPYTER_MIG_PROFILE\n")
    script.chmod(0o700)
    done = mig("run", "--size", "1g.5gb", "--", "script", "one", PATH=f"{tmp_path}:/bin")
    assert done.stdout == f"{script} one 1g.5gb\n"


def test_options_of_the_command_are_the_commands(mig: CommandLine) -> None:
    """With and without the dashes before it; dashes of its own stay."""
    for dashes in ([], ["--"]):
        done = mig("run", "--size", "1g.5gb", *dashes, "echo", "--size", "--", "--json")
        assert done.stdout == "--size -- --json\n"


@pytest.mark.parametrize("size", ["9g.99gb", "", "x" * 300, "1g.5gb\udcff"])
def test_a_size_that_is_none_is_said(mig: CommandLine, size: str) -> None:
    """And nothing is run."""
    assert mig("run", "--size", size, "--", "echo", "ran", code=Exit.USAGE).stdout == ""


@pytest.mark.parametrize("patience", [("--no-wait",), ("--patience", "0.1")])
def test_patience_ends(mig: CommandLine, full: None, patience: tuple[str, ...]) -> None:
    """Status 3, with what is free and what is in the way."""
    done = mig("run", "--size", "7g.40gb", *patience, "--", "echo", "ran", code=Exit.REFUSED)
    assert done.stdout == ""
    assert "Nothing is free now." in done.stderr


@pytest.mark.parametrize("patience", ["-1", "nan", "inf", "soon"])
def test_patience_that_is_none_is_usage(mig: CommandLine, patience: str) -> None:
    """Said by the parser."""
    mig("run", "--size", "1g.5gb", "--patience", patience, "--", "true", code=Exit.USAGE)


async def test_waiting_is_said_once_in_a_file(mig: CommandLine, client: Client, full: None) -> None:
    """One line on stderr; an interrupt takes the request back, with 130 and no further word."""
    with started(mig, *RUN, "cat") as process:
        await lease_in(client, "waiting", "cat")
        assert process.stderr
        assert process.stderr.readline() == SIMULATED
        assert process.stderr.readline() == "jupyter mig: cat waits for 7g.40gb: 1st in line\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == Exit.INTERRUPTED
    assert "cat" not in {lease.label for lease in await client.leases()}


async def test_who_waits_gets_the_next_slice(mig: CommandLine, client: Client) -> None:
    """The command starts when somebody else gives back."""
    held = [
        await client.acquire(LeaseRequest(f"first {number}", "7g.40gb", patience_seconds=60))
        for number in (1, 2)
    ]
    with started(mig, *RUN, "echo", "ran") as process:
        await lease_in(client, "waiting", "echo ran")
        await client.release(held[0].lease_id)
        assert (await asyncio.to_thread(process.communicate, timeout=30))[0] == "ran\n"
    await client.release(held[1].lease_id)


async def test_a_broker_that_dies_meanwhile_costs_nobody_his_place(
    mig: CommandLine, client: Client, full: None
) -> None:
    """Another takes over; the command starts all the same, and is not that broker's parent."""
    with started(mig, *RUN, "cat") as process:
        await lease_in(client, "waiting", "cat")
        gone((await client.broker()).pid, signal.SIGKILL)
        first = next(one for one in await client.leases() if one.state == "granted")
        await client.release(first.lease_id)
        await lease_in(client, "bound", "cat")
        assert of_process(process.pid, f"task/{process.pid}/children") == ""


async def test_a_label_can_be_given(mig: CommandLine, client: Client) -> None:
    """It is what leases and status show."""
    command = (*MIG, "run", "--size", "1g.5gb", "--label", "night shift", "--", "cat")
    with started(mig, *command):
        assert (await lease_in(client, "bound", "night shift")).slice


@pytest.mark.parametrize(
    ("command", "label"),
    [
        (["/usr/bin/python3", "train.py", "--token", "secret"], "python3 train.py"),
        (["bash"], "bash"),
        (["x" * 300], "x" * 80),
    ],
)
def test_the_label_holds_no_secrets(command: list[str], label: str) -> None:
    """It is stored; options may carry anything."""
    assert program.label(command) == label


def test_a_run_within_a_run_has_a_slice_of_its_own(mig: CommandLine) -> None:
    """As within a kernel: the environment says which broker, not which slice."""
    inner = shlex.join(
        [*MIG, "run", "--size", "1g.5gb", "--", "sh", "-c", "echo $JUPYTER_MIG_UUID"]
    )
    done = mig("run", "--size", "2g.10gb", "--", "sh", "-c", f"echo $JUPYTER_MIG_UUID; {inner}")
    outer, inner = done.stdout.split()
    assert outer != inner


@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_on_its_way_it_leaves_nothing(
    mig: CommandLine, client: Client, moment: str
) -> None:
    """SIGKILL at each step: the fixture sees that no lease and no instance is left."""
    script = Path(__file__).with_name("killed_run.py")
    environ = {**mig.environ, "PYTHONPATH": str(Path.cwd())}
    done = await asyncio.create_subprocess_exec(
        sys.executable, str(script), moment, *RUN[len(MIG) :], "echo", "ran",
        env=environ, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert (await done.communicate())[0] == b""
    assert done.returncode == -signal.SIGKILL


async def test_killed_while_it_waits_it_leaves_the_line(
    mig: CommandLine, client: Client, full: None
) -> None:
    """The broker sees the process go."""
    with started(mig, *RUN, "cat") as process:
        lease = await lease_in(client, "waiting", "cat")
        process.kill()
    with pytest.raises(LeaseEnded):
        await client.lease(lease.lease_id, seen=lease.version, wait_seconds=30)


async def test_on_a_terminal_the_line_keeps_up(
    mig: CommandLine, client: Client, full: None
) -> None:
    """One line, rewritten, erased at the end; Ctrl-C gives up, and the shell sees 130."""
    with shell(mig.environ) as screen:
        screen.type(f"{TYPED} echo ran\n")
        screen.until("\r\x1b\\[Kjupyter mig: echo ran waits for 7g.40gb: 1st in line")
        screen.type("\x03")
        assert screen.until("ready> ").replace("^C", "") == "\r\x1b[Kready> "
        assert screen.command("echo $?") == "\r\n130\r\n"


async def test_in_the_background_the_terminal_is_left_alone(
    mig: CommandLine, client: Client, full: None
) -> None:
    """One line and no more: the line is somebody else's."""
    with shell(mig.environ) as screen:
        screen.type(f"{TYPED} cat &\n")
        screen.until("jupyter mig: cat waits for 7g.40gb: 1st in line\r\n")
        assert "\x1b[K" not in screen.command("kill %1; wait %1")


async def test_job_control_is_the_commands(mig: CommandLine, client: Client) -> None:
    """Stopped, continued and interrupted by the keys of the terminal; the slice stays meanwhile."""
    with shell(mig.environ) as screen:
        screen.type(f"{TYPED} sh -c 'tty; exec cat'\n")
        screen.until("/dev/pts/")
        lease = await lease_in(client, "bound", "sh")
        screen.type("\x1a")
        screen.until("Stopped")
        screen.until("ready> ")
        assert (await client.lease(lease.lease_id)).state == "bound"

        async def going_on() -> bool:
            return state_of(lease.kernel_pid) != "T"

        assert state_of(lease.kernel_pid) == "T"
        screen.type("fg\n")
        await until(going_on)
        screen.type("typed\n")
        screen.until("typed\r\ntyped\r\n")
        screen.type("\x03")
        screen.until("ready> ")
        assert screen.command("echo $?") == "\r\n130\r\n"


async def test_an_interactive_program_has_the_terminal(mig: CommandLine, client: Client) -> None:
    """A shell on a slice: its size, its keys, its end of input."""
    with shell(mig.environ) as screen:
        screen.type(f"{TYPED} {sys.executable} -q -S -E\n")
        screen.until(">>> ")
        screen.type("import os, sys; sys.stdin.isatty(), os.environ['JUPYTER_MIG_PROFILE']\n")
        screen.until(r"\(True, '7g.40gb'\)")
        screen.until(">>> ")
        screen.type("\x04")
        screen.until("ready> ")
        assert screen.command("echo $?") == "\r\n0\r\n"
