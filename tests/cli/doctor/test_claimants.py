"""What the doctor says of those who manage GPUs beside us."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from jupyter_mig.cli.doctor import claimants
from jupyter_mig.cli.doctor.finding import Finding, Level
from jupyter_mig.cli.exits import Exit
from jupyter_mig.client import Settings
from jupyter_mig.client.system import SystemBroker
from jupyter_mig.nvml.examination import GpuExamined, Mig
from tests.broker.claimants.trees import GRES_CONF, gpu, write
from tests.cli.doctor.machines import findings
from tests.cli.nodes import simulated

GPUS = [GpuExamined(one.index, one.name, one.uuid, one.minor, Mig.ON) for one in (gpu(0), gpu(1))]


def seen(root: Path, settings: Settings, **environ: str) -> Sequence[Finding]:
    """What is found on a machine of two GPUs."""
    return [*claimants.check(claimants.look(root, GPUS, settings, environ))]


def test_nobody_else_is_no_news(tmp_path: Path) -> None:
    """Nothing is said."""
    assert seen(tmp_path, Settings()) == []


@pytest.mark.parametrize(
    ("inventory", "level"),
    [
        ("auto", Level.NOTE),
        ("static", Level.NOTE),
        ("dynamic:1 static", Level.PROBLEM),
        ("dynamite", Level.NOTE),
    ],
)
def test_what_others_have_is_told(tmp_path: Path, inventory: str, level: Level) -> None:
    """It is a problem if this user's broker was to cut it, and could start otherwise."""
    file = write(tmp_path, GRES_CONF, "Name=gpu File=/dev/nvidia1")
    (found,) = seen(tmp_path, Settings(inventory=inventory))
    assert found.about == "other managers"
    assert found.level is level
    assert found.seen.startswith(f"Slurm manages GPU 1: {file} line 1")
    assert "gres.conf" in found.fix


@pytest.mark.parametrize(("index", "level"), [(0, Level.NOTE), (1, Level.PROBLEM)])
def test_a_nodes_broker_wants_what_its_configuration_says(
    tmp_path: Path, index: int, level: Level
) -> None:
    """And no more."""
    write(tmp_path, GRES_CONF, "Name=gpu File=/dev/nvidia1")
    file = write(tmp_path, "b.json", json.dumps({"MIGBroker": {"gpus": [gpu(index).uuid]}}))
    settings = Settings(system=SystemBroker(Path("/run/x"), "nvml", 0))
    (found,) = seen(tmp_path, settings, JUPYTER_MIG_SYSTEM=str(file))
    assert found.level is level


def test_the_doctor_looks(tmp_path: Path) -> None:
    """Where a simulated node has its files; its GPUs are all to be cut."""
    write(tmp_path, GRES_CONF, "AutoDetect=nvml")
    with simulated(f"simulated:2xA30?time_scale=0&root={tmp_path}") as mig:
        found = findings(mig, code=Exit.FAILED)
    (told,) = [one.seen for one in found if one.about == "other managers"]
    assert told.startswith("Slurm manages GPU 0, 1: ")
    assert told.endswith("the broker does not start")
