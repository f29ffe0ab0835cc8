"""``jupyter mig batch``: many real commands on the slices of a simulated node of two GPUs."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.cli.batch import summary
from jupyter_mig.cli.batch.jobs import Outcome, read
from jupyter_mig.cli.batch.output import Lines
from jupyter_mig.cli.cells import width
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.terminal import Terminal
from jupyter_mig.client import Client
from jupyter_mig.errors import BadRequest
from jupyter_mig.wire.messages import MOST_REQUESTS
from tests.broker.brokers import gone, until
from tests.cli.nodes import MIG, CommandLine
from tests.cli.watching import lease_in, of_process, started

UNTIL_STOPPED = "7g.40gb sh -c 'echo $$; exec tail -f /dev/null'\n"


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    """Write a file of jobs; its path."""

    def write(*lines: str) -> str:
        path = tmp_path / "jobs.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    return write


def until_there(path: Path) -> str:
    """A command that ends when there is such a file."""
    return f"sh -c 'until [ -e {path} ]; do sleep 0.01; done'"


def states(done: subprocess.CompletedProcess[str]) -> list[tuple[str, int | None]]:
    """State and exit status of each job, from ``--json``."""
    return [(one["state"], one["exit_status"]) for one in json.loads(done.stdout)]


async def test_each_job_has_a_slice_of_its_own(
    mig: CommandLine, client: Client, written: Callable[..., str]
) -> None:
    """Each prints its own, of the size asked for; the table says what became of them."""
    tell = "sh -c 'echo $JUPYTER_MIG_UUID $JUPYTER_MIG_PROFILE'"
    done = mig("batch", written(f"3g.20gb {tell}", "# no job", "", f"10gb+ {tell}"))
    (mark, uuid, size), (other_mark, other_uuid, other_size) = (
        line.split() for line in sorted(done.stdout.splitlines()) if line.startswith("[")
    )
    assert (mark, size, other_mark, other_size) == ("[1]", "3g.20gb", "[2]", "1g.10gb")
    assert uuid != other_uuid
    assert done.stdout.splitlines()[-1] == "2 jobs: 2 done."
    assert "SIMULATED" in done.stdout


async def test_all_is_well_only_if_all_are(
    mig: CommandLine, client: Client, written: Callable[..., str]
) -> None:
    """One failure is a failure, which keeps none of the others from running."""
    path = written("1g.5gb sh -c 'exit 7'", "1g.5gb true", "1g.5gb sh -c 'kill -9 $$'")
    done = mig("batch", path, "--json", code=Exit.FAILED)
    assert states(done) == [("failed", 7), ("done", 0), ("failed", 137)]


async def test_jobs_are_planned_together(mig: CommandLine, client: Client, tmp_path: Path) -> None:
    """In the order of the file one GPU would be cut up too early; here all run at once."""
    sizes = ("1g.5gb", "1g.5gb", "2g.10gb", "3g.20gb", "7g.40gb")
    jobs = "".join(f"{size} {until_there(tmp_path / 'end')}\n" for size in sizes)
    with started(mig, *MIG, "batch", "-", "--json") as process:
        assert process.stdin
        process.stdin.write(jobs)
        process.stdin.close()
        process.stdin = None

        async def all_bound() -> bool:
            return [one.state for one in await client.leases()] == ["bound"] * len(sizes)

        await until(all_bound)
        (tmp_path / "end").touch()
        output, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert {one["state"] for one in json.loads(output)} == {"done"}


async def test_more_jobs_than_room_wait_their_turn(
    mig: CommandLine, client: Client, written: Callable[..., str]
) -> None:
    """Two GPUs, seven jobs that want a whole one: never more than two at once, all run."""
    done = mig("batch", written(*["7g.40gb true"] * 7))
    assert done.stdout.splitlines()[-1] == "7 jobs: 7 done."
    assert "7 jobs, 5 of them in line" in done.stderr


async def test_more_jobs_than_one_request_holds(
    mig: CommandLine, client: Client, written: Callable[..., str]
) -> None:
    """They are asked for in portions; the broker refuses the last of them here, and none runs."""
    path = written(*["7g.40gb true"] * MOST_REQUESTS, "9g.99gb true")
    done = mig("batch", path, code=Exit.USAGE)
    assert f"Line {MOST_REQUESTS + 1}: This node has no size 9g.99gb." in done.stderr
    assert done.stdout == ""


async def test_stop_on_failure_starts_no_more(
    mig: CommandLine, client: Client, written: Callable[..., str], tmp_path: Path
) -> None:
    """What runs goes on to its end, what waits is taken back."""
    runs = until_there(tmp_path / "end")
    path = written(f"7g.40gb {runs}", "7g.40gb false", *["7g.40gb true"] * 5)
    with started(mig, *MIG, "batch", "--stop-on-failure", "--json", path) as process:
        assert process.stderr
        lines = [await asyncio.to_thread(process.stderr.readline) for _ in range(8)]
        assert sum("was not started" in line for line in lines) == 5
        (tmp_path / "end").touch()
        output, _ = await asyncio.to_thread(process.communicate, timeout=60)
        assert process.returncode == Exit.FAILED
    found = [(one["state"], one["exit_status"]) for one in json.loads(output)]
    assert found == [("done", 0), ("failed", 1), *[("not started", None)] * 5]


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
async def test_a_signal_ends_all(
    mig: CommandLine, client: Client, written: Callable[..., str], name: str
) -> None:
    """What runs gets the signal, what waits is taken back, the table is printed all the same."""
    number = getattr(signal, f"SIG{name}")
    with started(mig, *MIG, "batch", "--json", written(*["7g.40gb tail -f /dev/null"] * 3)) as one:

        async def two_run() -> bool:
            leases = await client.leases()
            pids = [each.kernel_pid for each in leases if each.state == "bound"]
            commands = [of_process(pid, "cmdline") for pid in pids]
            return [line[:4] for line in commands] == ["tail"] * 2 and len(leases) == 3

        await until(two_run)
        one.send_signal(number)
        output, _ = await asyncio.to_thread(one.communicate, timeout=60)
        assert one.returncode == 128 + number
    assert sorted((each["state"], each["exit_status"] or 0) for each in json.loads(output)) == [
        ("ended", 128 + number),
        ("ended", 128 + number),
        ("not started", 0),
    ]


async def test_a_second_signal_kills(
    mig: CommandLine, client: Client, written: Callable[..., str]
) -> None:
    """A job that will not end on request."""
    stubborn = "7g.40gb sh -c 'trap \"echo no\" TERM; echo on; while :; do sleep 0.01; done'"
    with started(mig, *MIG, "batch", written(stubborn)) as process:
        assert process.stdout
        for answer in ("[1] on\n", "[1] no\n"):
            assert await asyncio.to_thread(process.stdout.readline) == answer
            process.terminate()
        output, _ = await asyncio.to_thread(process.communicate, timeout=60)
        assert process.returncode == 128 + signal.SIGTERM
    assert re.search(r" ended +137 ", output)


async def test_killed_it_leaves_what_runs_and_takes_back_what_waits(
    mig: CommandLine, client: Client, written: Callable[..., str], tmp_path: Path
) -> None:
    """Nobody can stop the jobs then; they keep their slices until they end."""
    path = written(*["7g.40gb tail -f /dev/null"] * 3)
    with started(mig, *MIG, "batch", f"--output-dir={tmp_path}/out", path) as process:

        async def leases(*wanted: str) -> bool:
            return sorted(one.state for one in await client.leases()) == sorted(wanted)

        async def jobs_run() -> bool:
            pids = [one.kernel_pid for one in await client.leases() if one.kernel_pid]
            return [of_process(pid, "cmdline") for pid in pids] == ["tail\0-f\0/dev/null\0"] * 2

        await until(lambda: leases("bound", "bound", "waiting"))
        await until(jobs_run)  # bound, a job still waits to be let go
        process.kill()
        await until(lambda: leases("bound", "bound"))
        for lease in await client.leases():
            assert lease.kernel_pid
            gone(lease.kernel_pid, signal.SIGKILL)


async def test_killed_between_start_and_bind_the_job_never_runs(
    mig: CommandLine, client: Client, written: Callable[..., str], tmp_path: Path
) -> None:
    """The process that was to become it hears that nobody is there any more, and ends."""
    ran = tmp_path / "ran"
    environ = {**mig.environ, "PYTHONPATH": str(Path.cwd())}
    script = str(Path(__file__).with_name("killed_run.py"))
    process = await asyncio.create_subprocess_exec(
        MIG[0], script, "before the bind", "batch", written(f"7g.40gb touch {ran}"),
        env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    # The pipes are at their end only when the job's process is gone, too.
    assert await process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not ran.exists()


async def test_output_goes_to_files(
    mig: CommandLine, client: Client, written: Callable[..., str], tmp_path: Path
) -> None:
    """Two for each job, byte by byte what it wrote."""
    out = tmp_path / "deep" / "out"
    jobs = ["1g.5gb sh -c 'printf \"a\\r\\0b\"; echo c >&2'", *["1g.5gb true"] * 9]
    done = mig("batch", written(*jobs), "--output-dir", str(out))
    assert (out / "01.out").read_bytes() == b"a\r\0b"
    assert (out / "01.err").read_bytes() == b"c\n"
    assert len(list(out.iterdir())) == 20
    assert "[ 1]" not in done.stdout


def test_a_directory_that_cannot_be_is_said(mig: CommandLine, written: Callable[..., str]) -> None:
    """Before anything is asked for."""
    done = mig("batch", written("1g.5gb true"), "--output-dir=/dev/null/x", code=Exit.FAILED)
    assert "Cannot write /dev/null/x" in done.stderr


async def test_a_job_is_not_waited_for_because_of_what_it_left(
    mig: CommandLine, client: Client, written: Callable[..., str]
) -> None:
    """A process in the background holds the output open; the job is over, its output is here."""
    done = mig("batch", written("1g.5gb sh -c 'tail -f /dev/null & echo $!'"))
    pid = int(done.stdout.splitlines()[0].removeprefix("[1] "))
    gone(pid, signal.SIGKILL)


async def test_a_reader_that_leaves_ends_all(
    mig: CommandLine, client: Client, written: Callable[..., str]
) -> None:
    """``jupyter mig batch jobs | head``: nobody reads, so nothing goes on."""
    reading, writing = os.pipe()
    os.close(reading)
    jobs = written("7g.40gb yes", "7g.40gb tail -f /dev/null")
    process = await asyncio.create_subprocess_exec(
        *MIG, "batch", jobs, env=mig.environ, stdout=writing, stderr=asyncio.subprocess.PIPE
    )
    os.close(writing)
    _, complaints = await process.communicate()
    assert b"Traceback" not in complaints
    assert process.returncode == Exit.NOBODY_READS


async def test_jobs_read_nothing(
    mig: CommandLine, client: Client, written: Callable[..., str]
) -> None:
    """Several at once could only steal each other's input."""
    done = mig("batch", written("1g.5gb cat", "1g.5gb cat"))
    assert done.stdout.splitlines()[-1] == "2 jobs: 2 done."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "There are no jobs."),
        ("# only words\n\n", "There are no jobs."),
        ("1g.5gb", "Line 1: no command after 1g.5gb."),
        ("1g.5gb true\n1g.5gb echo 'x", "Line 2: No closing quotation."),
        ("1g.5gb teapot", "Line 1: There is no command teapot."),
        ("1g.5gb true \0", "Line 1: there is a NUL character in it."),
    ],
)
def test_what_is_no_list_of_jobs_is_said(text: str, words: str) -> None:
    """With the line, before anything is asked for."""
    with pytest.raises(BadRequest, match=words):
        read(text, os.environ)


@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\0")), max_size=4), min_size=1))
def test_what_is_quoted_is_read_back(commands: list[list[str]]) -> None:
    """Any words at all, as ``shlex`` quotes them; line ends within words are no words of ours."""
    commands = [
        [w for w in words if len(w.splitlines()) <= 1 and w == w.strip()] for words in commands
    ]
    text = "\n".join(shlex.join(["1g.5gb", "true", *words]) for words in commands)
    assert [job.command for job in read(text, os.environ)] == [("true", *w) for w in commands]


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_output_comes_in_whole_lines(pieces: list[bytes]) -> None:
    """However it was cut: every line once, in order, each with its mark."""
    stream = io.BytesIO()
    lines = Lines(stream, b"[1] ")
    for piece in pieces:
        lines.feed(piece)
    lines.end()
    whole = b"".join(pieces)
    expected = whole.split(b"\n")
    expected = expected[:-1] if expected[-1] == b"" else expected
    assert stream.getvalue() == b"".join(b"[1] " + line + b"\n" for line in expected)


def test_a_line_without_end_is_not_kept_for_ever() -> None:
    """A progress bar of a night would fill the memory."""
    stream = io.BytesIO()
    Lines(stream, b"> ").feed(b"x" * 100_000)
    assert stream.getvalue() == b"> " + b"x" * 100_000 + b"\n"


def test_the_table() -> None:
    """What ran has figures; in eighty columns the command is cut."""
    outcomes = [
        Outcome(1, "1g.5gb", ("python", "train.py", "--lr", "0.1"), "done", 0, 0.2, 61.0),
        Outcome(2, "7g.40gb", ("sh", "-c", "x" * 80), "not started"),
    ]
    assert summary.lines(outcomes[:1], Terminal()) == [
        "JOB  SIZE    STATE  EXIT  WAITED    RAN  COMMAND",
        "  1  1g.5gb  done      0     0 s  1 min  python train.py --lr 0.1",
        "1 job: 1 done.",
    ]
    assert all(width(line) <= 80 for line in summary.lines(outcomes, Terminal(80)))


async def test_a_job_is_bound_to_its_own_process(
    mig: CommandLine, client: Client, written: Callable[..., str]
) -> None:
    """The lease's pid is the command's; its parent is the batch."""
    with started(mig, *MIG, "batch", written(UNTIL_STOPPED.strip())) as process:
        assert process.stdout
        pid = int((await asyncio.to_thread(process.stdout.readline)).removeprefix("[1] "))
        lease = await lease_in(client, "bound", "sh")
        assert lease.kernel_pid == pid
        process.terminate()
        await asyncio.to_thread(process.communicate, timeout=60)
