"""``jupyter mig acceptance`` as a process, on simulated nodes."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jupyter_mig.cli.acceptance.guards import brokers
from jupyter_mig.cli.acceptance.record import Record, read
from jupyter_mig.cli.exits import Exit
from jupyter_mig.client import Settings
from jupyter_mig.client.place import directory_for, prepare
from jupyter_mig.nvml import simulated as simulation
from jupyter_mig.nvml.simulated import Fault, Node, in_use, no_room
from jupyter_mig.wire import meeting
from tests.cli.nodes import MIG, CommandLine, simulated

A30 = "simulated:1xA30?time_scale=0"
OWN = ("acceptance", "--gpu", "0", "--i-own-this-gpu")
TRIALS = 13


@pytest.fixture
def mig() -> Iterator[CommandLine]:
    """A node without a broker."""
    with simulated(A30) as command_line:
        yield command_line


def prepared(mig: CommandLine) -> Path:
    """Lay the node's hardware out where its broker would keep it; the file."""
    directory = directory_for(Settings.from_environment(mig.environ))
    prepare(directory)
    state = directory / meeting.SILICON
    node = mig.environ["JUPYTER_MIG_DRIVER"].removeprefix("simulated:")
    with simulation.installed(node, state=state):
        return state


@contextmanager
def silicon(mig: CommandLine) -> Iterator[Node]:
    """The hardware, seen from behind."""
    with simulation.attached(prepared(mig)) as node:
        yield node


def accepted(mig: CommandLine, path: Path, *, code: Exit = Exit.DONE) -> tuple[str, Record]:
    """Run it to the end; what it printed, and its record."""
    text = mig(*OWN, "--output", str(path), code=code).stdout
    return text, read(path)


def test_every_profile_at_every_start(mig: CommandLine, tmp_path: Path) -> None:
    """All pass, the page says that nothing of it is hardware, the record has all calls."""
    text, record = accepted(mig, tmp_path / "a.json")
    assert text.startswith("SIMULATED NVIDIA GPUs: no hardware is used\n")
    assert f"{TRIALS} of {TRIALS} trials passed. Nothing was left behind." in text
    assert "it says nothing about hardware" in text
    assert len({(trial.profile, trial.start) for trial in record.trials}) == TRIALS
    assert record.simulated
    assert record.transcript.simulated
    assert {call.name for call in record.transcript.calls} >= {
        "nvmlDeviceCreateGpuInstanceWithPlacement",
        "nvmlGpuInstanceCreateComputeInstance",
        "nvmlComputeInstanceDestroy",
        "nvmlGpuInstanceDestroy",
    }
    with silicon(mig) as node:
        assert not any(gpu.uuid in (tmp_path / "a.json").read_text() for gpu in node.gpus)


def test_the_flag_is_asked_for(mig: CommandLine) -> None:
    """Without it nothing is done, and the command with it is shown."""
    done = mig("acceptance", "--gpu", "0", code=Exit.USAGE)
    assert "jupyter mig acceptance --gpu 0 --i-own-this-gpu" in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        ("mig=off", Exit.UNUSABLE, "not in MIG mode"),
        ("privileged=off", Exit.UNUSABLE, "may not make instances"),
    ],
)
def test_a_gpu_that_cannot_be_cut_is_refused(
    tmp_path: Path, options: str, code: Exit, word: str
) -> None:
    """What is missing is said, and no file is left."""
    with simulated(f"{A30}&{options}") as mig:
        done = mig(*OWN, "--output", str(tmp_path / "a.json"), code=code)
    assert word in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_gpu_that_is_not_there_is_refused(mig: CommandLine) -> None:
    """Those that are there are listed."""
    done = mig("acceptance", "--gpu", "7", "--i-own-this-gpu", code=Exit.USAGE)
    assert "There are: 0." in done.stderr


def test_a_lost_gpu_is_refused(mig: CommandLine) -> None:
    """In the driver's words."""
    with silicon(mig) as node:
        node.lose(0)
        assert "GPU is lost" in mig(*OWN, code=Exit.UNUSABLE).stderr


def test_a_gpu_with_an_instance_is_left_alone(mig: CommandLine) -> None:
    """Whoever made it."""
    with silicon(mig) as node:
        uuid = node.create(0, "1g.6gb")
        done = mig(*OWN, code=Exit.REFUSED)
        assert "Instances: 1g.6gb." in done.stderr
        assert node.mig_uuids == (uuid,)


def test_a_gpu_that_a_broker_manages_is_left_alone(mig: CommandLine) -> None:
    """The message names the broker's process."""
    mig("status")
    done = mig(*OWN, code=Exit.REFUSED)
    (pid,) = [one.pid for one in brokers() if mig.environ["XDG_RUNTIME_DIR"] in str(one.place)]
    assert f"Its process: {pid}." in done.stderr


def test_brokers_are_known_by_their_command_lines(tmp_path: Path) -> None:
    """Any user's; other programs, and what is no process, are not."""
    for name, words in (
        ("10", ("python", "-m", "jupyter_mig.broker", "--place", "/p", "--driver", "nvml")),
        ("11", ("grep", "jupyter_mig.broker")),
        ("self", ("python", "-m", "jupyter_mig.broker", "--place", "/p", "--driver", "nvml")),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cmdline").write_text("\0".join(words) + "\0")
    (tmp_path / "12").mkdir()
    (found,) = brokers(tmp_path)
    assert (found.pid, found.driver, found.place) == (10, "nvml", Path("/p"))


def test_no_file_is_overwritten(mig: CommandLine, tmp_path: Path) -> None:
    """Before anything is made."""
    path = tmp_path / "a.json"
    path.write_text("kept")
    assert "is there already" in mig(*OWN, "--output", str(path), code=Exit.USAGE).stderr
    assert path.read_text() == "kept"
    missing = tmp_path / "none" / "a.json"
    assert "Cannot write" in mig(*OWN, "--output", str(missing), code=Exit.FAILED).stderr


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (no_room(), "create: NVML says: Insufficient Resources"),
        (Fault("nvmlGpuInstanceCreateComputeInstance", 999), "create: NVML says: Unknown Error"),
        (Fault("nvmlDeviceGetMemoryInfo*", 999, gpu_instance=3), "look: NVML says: Unknown Error"),
    ],
)
def test_what_fails_is_told_and_the_rest_is_tried(
    mig: CommandLine, tmp_path: Path, fault: Fault, word: str
) -> None:
    """One problem, twelve that pass, nothing left."""
    with silicon(mig) as node:
        node.inject(fault)
        text, record = accepted(mig, tmp_path / "a.json", code=Exit.FAILED)
        assert node.mig_uuids == ()
    assert word in text
    assert f"{TRIALS - 1} of {TRIALS} trials passed" in text
    assert record.left_behind == []


def test_what_will_not_go_is_told(mig: CommandLine, tmp_path: Path) -> None:
    """An instance that is In Use for good stays, by name; status 1."""
    with silicon(mig) as node:
        node.inject(in_use(times=None, gpu_instance=0))
        text, record = accepted(mig, tmp_path / "a.json", code=Exit.FAILED)
    assert "GPU instance 0 is still there" in text
    assert "Something was left behind." in text
    assert len(record.left_behind) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_it_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    """At the first instance, twice: it is taken down, and what was found so far is kept."""
    path = tmp_path / "a.json"
    with simulated("simulated:1xA30") as mig, silicon(mig) as node:
        process = subprocess.Popen(
            [*MIG, *OWN, "--output", str(path)],
            env=mig.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while not node.mig_uuids:
            assert process.poll() is None
        process.send_signal(number)
        process.send_signal(number)
        text, _ = process.communicate(timeout=60)
        assert process.returncode == Exit.INTERRUPTED, text
        assert not any(gpu.instances for gpu in node.gpus)
    record = read(path)
    assert not record.complete
    assert len(record.trials) < TRIALS
    assert "It was stopped before the end. Nothing was left behind." in text
