"""What the doctor says of those who manage GPUs beside us."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from jupyter_mig.cli.doctor import claimants
from jupyter_mig.cli.doctor.finding import Finding, Level
from jupyter_mig.cli.exits import Exit
from jupyter_mig.client import Settings
from jupyter_mig.client.system import SystemBroker
from jupyter_mig.nvml.examination import GpuExamined, Mig
from tests.broker.claimants.trees import GRES_CONF, PLUGINS, checkpoint, gpu, write
from tests.broker.system.shared_node import ALICE
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


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("place", [PLUGINS, "var/lib/kubelet"])
def test_who_may_not_look_is_told_to_ask_as_root(place: str) -> None:
    """A kubelet's directory is closed to users; that is no claim, and no problem of theirs. Root
    sees whether it is one.
    """
    with tempfile.TemporaryDirectory(prefix="mig-", dir="/tmp") as made:
        root = Path(made)
        root.chmod(0o755)
        checkpoint(root, {"nvidia.com/gpu": [gpu(0).uuid]})
        (root / place).chmod(0o700)
        settings = Settings(inventory="dynamic")
        (as_root,) = seen(root, settings)
        os.seteuid(ALICE)
        try:
            (as_user,) = seen(root, settings)
        finally:
            os.seteuid(0)
    assert (as_root.level, as_user.level) == (Level.PROBLEM, Level.NOTE)
    assert as_user.seen.startswith("whether Kubernetes manages GPU 0, 1 you cannot see: ")
    assert as_user.fix == "Ask as root: sudo jupyter mig doctor"


def test_the_doctor_looks(tmp_path: Path) -> None:
    """Where a simulated node has its files; its GPUs are all to be cut."""
    write(tmp_path, GRES_CONF, "AutoDetect=nvml")
    with simulated(f"simulated:2xA30?time_scale=0&root={tmp_path}") as mig:
        found = findings(mig, code=Exit.FAILED)
    (told,) = [one.seen for one in found if one.about == "other managers"]
    assert told.startswith("Slurm manages GPU 0, 1: ")
    assert told.endswith("the broker does not start")
