"""The doctor's checks one by one: what they see, and what they make of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest

import jupyter_mig
from jupyter_mig.broker.hardware import inventory
from jupyter_mig.cli.doctor import broker, driver, nodes, place, server, slices, specs, variables
from jupyter_mig.cli.doctor import versions as packages
from jupyter_mig.cli.doctor.finding import Finding, Level
from jupyter_mig.cli.doctor.nodes import NodeFile
from jupyter_mig.cli.doctor.specs import SpecFacts
from jupyter_mig.cli.doctor.versions import VersionFacts
from jupyter_mig.client import Settings
from jupyter_mig.errors import BrokerStartFailed
from jupyter_mig.kernels.installation import Installed
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.driver import Driver
from jupyter_mig.nvml.examination import Examined, GpuExamined, Mig, examine
from jupyter_mig.wire import codec, meeting
from jupyter_mig.wire.messages import PROTOCOL, AllowanceView
from tests.cli.views import BROKER, gpu, instance, node, size


def said(findings: Iterable[Finding], level: Level = Level.PROBLEM) -> str:
    """All that is found at that level."""
    return "\n".join(f"{one.seen}\n{one.fix}" for one in findings if one.level is level)


def tree(root: Path) -> tuple[GpuExamined, ...]:
    """Lay out the nodes of a GPU with one slice in ``root`` and keep them in ``kept`` beside it,
    for the node takes them with it; what NVML says of the GPU.
    """
    with simulated.installed(f"1xA100-SXM4-40GB?time_scale=0&root={root}") as truth:
        truth.create(0, "1g.5gb")
        with closing(Driver(simulated=True)):
            found = examine().gpus
        shutil.copytree(root, root.with_name("kept"))
    return found


def test_all_nodes_are_seen(tmp_path: Path) -> None:
    """The control node, the GPU's, and two for the slice; isolation is a convention there."""
    gpus = tree(tmp_path / "root")
    facts = nodes.look(tmp_path / "kept", gpus)
    assert len(facts.files) == 5
    assert all(file.exists and file.opens for file in facts.files)
    found = list(nodes.check(facts))
    assert "may open all of them" in said(found, Level.OK)
    assert said(found, Level.NOTE).startswith("a convention: CUDA_VISIBLE_DEVICES")


def test_a_missing_node_is_a_problem(tmp_path: Path) -> None:
    """The message names the capability to ask the driver's tool for."""
    gpus = tree(tmp_path / "root")
    kept = tmp_path / "kept"
    missing = max((kept / "dev/nvidia-caps").iterdir(), key=lambda path: int(path.name[10:]))
    missing.unlink()
    facts = nodes.NodeFacts(nodes.look(kept, gpus).files)
    text = said(nodes.check(facts))
    assert f"not there: {missing} (1g.5gb on GPU 0)" in text
    assert "nvidia-modprobe -f" in text
    assert text.split("nvidia-modprobe -f ")[1].splitlines()[0].endswith("/access")
    on_demand = nodes.NodeFacts(facts.files, made_on_demand=True)
    assert said(nodes.check(on_demand)) == ""
    assert "not there" in said(nodes.check(on_demand), Level.NOTE)


@pytest.mark.parametrize(
    ("modify", "level", "word"), [("0", Level.OK, "a boundary"), ("1", Level.NOTE, "open them")]
)
def test_closed_nodes_are_a_boundary_if_they_stay_closed(
    tmp_path: Path, modify: str, level: Level, word: str
) -> None:
    """Mode 0400 counts only with DeviceFileModify 0: the driver's setuid tool resets it."""
    gpus = tree(tmp_path / "root")
    kept = tmp_path / "kept"
    for file in (kept / "proc/driver/nvidia/capabilities").glob("gpu*/**/access"):
        file.chmod(0o600)
        file.write_text(f"DeviceFileMinor: {_minor(file)}\nDeviceFileModify: {modify}\n")
    for one in (kept / "dev/nvidia-caps").iterdir():
        one.chmod(0o400)
    assert word in said(nodes.check(nodes.look(kept, gpus)), level)


def _minor(capability: Path) -> str:
    return capability.read_text().splitlines()[0].partition(": ")[2]


def test_a_node_that_is_closed_to_us_is_a_problem() -> None:
    """It may be meant so; the message says how an administrator lets somebody in."""
    file = NodeFile(Path("/dev/nvidia-caps/nvidia-cap3"), "1g.5gb on GPU 0", exists=True)
    assert "setfacl" in said(nodes.check(nodes.NodeFacts((file,))))


def test_a_driver_without_gpus_is_a_problem() -> None:
    """As in a container that was given none."""
    facts = driver.DriverFacts("nvml", Examined("590.48.01", simulated=False, gpus=()))
    assert "no GPU" in said(driver.check(facts))


def judged(gpu: GpuExamined, setting: str = "auto") -> list[Finding]:
    """What is said of one real GPU."""
    examined = Examined("590.48.01", simulated=False, gpus=(gpu,))
    facts = driver.DriverFacts("nvml", examined, inventories=inventory.parse(setting))
    return list(driver.check(facts))


def test_gpus_without_mig_are_handed_out_whole() -> None:
    """And so are those where it is off; unless somebody said otherwise."""
    for mig in (Mig.NONE, Mig.OFF):
        assert "handed out whole" in said(judged(GpuExamined(0, "NVIDIA T4", mig=mig)), Level.OK)
    assert "has no MIG" in said(judged(GpuExamined(0, "NVIDIA T4"), "static"), Level.NOTE)
    assert "MIG mode is off" in said(judged(GpuExamined(0, "A100", mig=Mig.OFF), "static"))
    assert "MIG mode is on" in said(judged(GpuExamined(0, "A100", mig=Mig.ON), "full"))


@pytest.mark.parametrize(
    ("ways", "turned_on", "told"),
    [
        ("dynamic:GPU-1", (), "turns it on when it starts if MIGBroker.enable_mig_mode is true"),
        ("dynamic:GPU-1", ("GPU-1",), "did not turn it on when it started. Its log says why"),
        ("static:GPU-1", (), ""),
    ],
)
def test_a_nodes_broker_may_turn_mig_mode_on(
    ways: str, turned_on: tuple[str, ...], told: str
) -> None:
    """Where it cuts the GPU itself; the way by hand is told in any case."""
    gpu = GpuExamined(0, "NVIDIA H100", "GPU-1", mig=Mig.OFF)
    examined = Examined("590.48.01", simulated=False, gpus=(gpu,))
    found = driver.check(
        driver.DriverFacts("nvml", examined, None, inventory.parse(ways), ("GPU-1",), turned_on)
    )
    text = said(found)
    assert told in text
    assert ("enable_mig_mode" in text) == bool(told)
    assert "sudo nvidia-smi -i 0 -mig 1" in text


def test_a_gpu_without_slices_is_a_problem_where_none_are_made() -> None:
    """The way of an administrator is told, and that of making them on demand."""
    gpu = GpuExamined(0, "A100", mig=Mig.ON, configures=True, monitors=True)
    assert "-cgi PROFILE -C\n" in said(judged(gpu))
    assert "JUPYTER_MIG_INVENTORY=dynamic:0" in said(judged(gpu))
    assert said(judged(gpu, "dynamic:0")) == ""


def test_a_user_without_rights_can_use_what_is_there(tmp_path: Path) -> None:
    """Rights to make slices are missed only where they are to be made."""
    (there,) = tree(tmp_path / "root")
    assert there.mig is Mig.ON
    gpu = msgspec.structs.replace(there, configures=False, monitors=False)
    assert said(judged(gpu)) == ""
    assert "single slices only" in said(judged(gpu), Level.NOTE)
    assert "may not make instances on GPU 0" in said(judged(gpu, "dynamic:0"))


def test_an_inventory_that_cannot_be_read_is_a_problem() -> None:
    """In the broker's words."""
    facts = driver.look(Settings(driver="simulated:1xA30", inventory="some"), Path("/nowhere"))
    assert "JUPYTER_MIG_INVENTORY" in said(driver.check(facts))


def test_a_gpu_with_an_error_of_a_future_driver_is_a_problem() -> None:
    """A code that nobody knows yet has a remedy, too."""
    gpu = GpuExamined(0, code=4711, trouble="NVML says: Error 4711")
    assert "dmesg" in said(judged(gpu))


def test_an_unknown_driver_is_a_problem() -> None:
    """The settings are wrong, whatever the machine."""
    facts = driver.look(Settings(driver="simulated:1xGTX"), Path("/nowhere"))
    assert "GTX" in said(driver.check(facts))


def test_leftovers_are_told(tmp_path: Path) -> None:
    """A socket without a broker, and a place that was last used before this boot."""
    directory, old, new = (tmp_path / name for name in ("mine", "old", "new"))
    for one in (directory, old, new):
        one.mkdir(mode=0o700)
        (one / meeting.LOCK).touch()
    os.utime(old / meeting.LOCK, (1, 1))
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(directory / meeting.SOCKET))
    facts = place.look(Settings(), directory)
    assert facts.doorless
    assert facts.earlier == (old,)
    text = said(place.check(facts), Level.NOTE)
    assert "left from a broker that was killed" in text
    assert f"rm -r {old}\n" in f"{text}\n"


def test_a_place_that_is_too_deep_is_a_problem(tmp_path: Path) -> None:
    """A Unix socket's path has a limit; and a wish that is no directory is told."""
    settings = Settings(runtime_directory=tmp_path / "none")
    findings = list(place.check(place.look(settings, tmp_path / ("x" * 100))))
    assert "too long" in said(findings)
    assert f"{tmp_path / 'none'} is no directory" in said(findings, Level.NOTE)


def test_the_last_start_is_told(tmp_path: Path) -> None:
    """A broker that did not come up left a note; an unreadable one is as none."""
    settings = Settings()
    door = tmp_path / meeting.SOCKET
    note = tmp_path / meeting.START_ERROR
    note.write_bytes(codec.encode(codec.body_of(BrokerStartFailed("It was Monday."))))
    assert "It was Monday." in said(broker.check(broker.look(settings, door, listens=False)))
    note.write_bytes(b"{")
    assert said(broker.check(broker.look(settings, door, listens=False))) == ""


@pytest.mark.parametrize(
    ("newer", "level", "word"),
    [
        (0, Level.OK, "answers"),
        (1, Level.NOTE, "the two understand each other"),
        (-1, Level.NOTE, "the two understand each other"),
        (2, Level.PROBLEM, "kill 4711"),
    ],
)
def test_neighbouring_protocols_are_no_problem(newer: int, level: Level, word: str) -> None:
    """The door promises that they work together; whoever is further away is refused."""
    view = msgspec.structs.replace(BROKER, protocol=PROTOCOL + newer)
    facts = broker.BrokerFacts(Path("/s"), Settings(driver=view.driver), view=view)
    assert word in said(broker.check(facts), level)


def test_suspects_are_named() -> None:
    """The pid and the program of whoever is on a slice that will not clear."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        stuck = instance("1g.5gb", 0, 1, state="condemned", suspects=(process.pid, 2**22 + 1))
        others = instance("2g.10gb", 2, 2, state="outside")
        facts = slices.look(node(gpu(stuck, others)))
        name = Path(f"/proc/{process.pid}/comm").read_text().strip()
        process.communicate(b"\n")
    findings = list(slices.check(facts))
    assert f"{process.pid} ({name}), {2**22 + 1} (unknown)" in said(findings)
    assert f"kill {process.pid}" in said(findings)
    assert "leaves them alone: 2g.10gb" in said(findings, Level.NOTE)


def test_a_gpu_that_the_broker_does_not_use_is_a_problem() -> None:
    """In the broker's words."""
    findings = slices.check(slices.look(node(gpu(problem="GPU is lost"))))
    assert "the broker does not use it: GPU is lost" in said(findings)


def test_what_the_broker_notes_is_told() -> None:
    """And what it would have done about a problem."""
    view = gpu(problem="MIG mode is off", next_step="Turn it on.", notes=("no placements",))
    findings = list(slices.check(slices.look(node(view))))
    assert "Turn it on." in said(findings)
    assert "no placements" in said(findings, Level.NOTE)


def installed(name: str, **more: object) -> Installed:
    """One of our kernelspecs, up to date unless said otherwise."""
    values = {"size": "1g.5gb", "simulated": False, "version": jupyter_mig.__version__, **more}
    return Installed(name=name, display_name=name, base="b", directory=Path("/k"), **values)  # type: ignore[arg-type]


def test_kernelspecs_are_judged() -> None:
    """For another kind of node, without its program, from another version; no provisioner."""
    foreign, dead, old = (
        installed("foreign", simulated=True),
        installed("dead"),
        installed("old", version=""),
    )
    facts = SpecFacts(
        (foreign, dead, old),
        simulated=False,
        provisioner=False,
        broken=(dead,),
        sizes={"1g.5gb": ""},
    )
    findings = list(specs.check(facts))
    problems = said(findings)
    assert "mig-provisioner is not registered" in problems
    assert "made for a simulated node, and this one is real: foreign" in problems
    assert "not there any more: dead" in problems
    assert "written by another version of this package: old" in said(findings, Level.NOTE)


def test_kernelspecs_that_a_rule_forbids_are_noted() -> None:
    """By its name: the size is there, and for others."""
    small, large = installed("small"), installed("large", size="7g.40gb")
    sizes = {"1g.5gb": "", "7g.40gb": "rule 2 (*)"}
    facts = SpecFacts((small, large), simulated=False, provisioner=True, sizes=sizes)
    noted = said(specs.check(facts), Level.NOTE)
    assert "for sizes that rule 2 (*) does not allow this user: large" in noted
    assert "kernels remove large" in noted
    assert "small" not in noted


def test_a_users_limits_are_told() -> None:
    """With what they never allow, and that nobody knows them now."""
    allowance = AllowanceView("rule 2 (*)", "at most 1 slice", "0 slices, 0 of a GPU")
    sizes = (size("1g.5gb", 1, 7), size("7g.40gb", 0, 1, not_allowed="rule 2 (*)"))
    ruled = node(sizes=sizes, allowance=allowance)
    told = said(slices.check(slices.look(ruled)), Level.OK)
    assert "rule 2 (*): at most 1 slice; never: 7g.40gb; you hold 0 slices, 0 of a GPU" in told
    silent = node(allowance_not_available="JupyterHub does not answer.")
    told = said(slices.check(slices.look(silent)), Level.NOTE)
    assert "not known: JupyterHub does not answer." in told


def test_packages_are_judged_by_number() -> None:
    """8.10 is newer than 8.9; what is missing or too old is named, what may be missing is noted."""
    facts = VersionFacts(
        needed=("jupyter-client>=8.9", "msgspec>=0.19", "tornado>=6.4"),
        wanted=("ipykernel>=6",),
        installed=MappingProxyType({"jupyter-client": "8.10.0", "msgspec": "0.18.6"}),
    )
    findings = list(packages.check(facts))
    assert said(findings).splitlines() == [
        "msgspec is 0.18.6, needed is 0.19", 'pip install "msgspec>=0.19"',
        "tornado is not installed here", 'pip install "tornado>=6.4"',
    ]  # fmt: skip
    assert "ipykernel is not installed here" in said(findings, Level.NOTE)
    assert said(packages.check(packages.look())) == ""


@pytest.mark.parametrize(
    ("environ", "level", "word"),
    [
        ({"JUPYTER_MIG_UUID": "MIG-1"}, Level.PROBLEM, "CUDA_VISIBLE_DEVICES is not set"),
        (
            {
                "JUPYTER_MIG_UUID": "MIG-1",
                "CUDA_VISIBLE_DEVICES": "MIG-1",
                "JUPYTER_MIG_LEASE": "l",
            },
            Level.NOTE,
            "inside a kernel",
        ),
        ({"JUPYTER_MIG_SIMULATED": "1"}, Level.PROBLEM, "names no simulated node"),
        ({"CUDA_VISIBLE_DEVICES": ""}, Level.NOTE, "CUDA_VISIBLE_DEVICES is empty"),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, Level.NOTE, "hides all GPUs"),
        ({}, Level.OK, "none contradicts"),
    ],
)
def test_variables_are_held_against_each_other(
    environ: dict[str, str], level: Level, word: str
) -> None:
    """What a user set and what a kernel was given."""
    assert word in said(variables.check(environ), level)


def test_a_configuration_that_cannot_be_read_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named with its error, and the others are read all the same."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "jupyter_server_config.py").write_text("raise RuntimeError('monday')")
    findings = list(server.check(server.look()))
    assert f"{tmp_path}/jupyter_server_config.py: monday" in said(findings)
    assert "enabled" in said(findings, Level.OK)
