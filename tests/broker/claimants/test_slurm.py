"""What slurm.conf and gres.conf give to Slurm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_mig.broker.claimants import hostlist, slurm
from jupyter_mig.broker.claimants.claimant import Claimant
from tests.broker.claimants.trees import GRES_CONF, SLURM_CONF, process, write

CLUSTER = """\
clustername=mig
# NodeName=host1 Gres=gpu:9 \\
NODENAME=DEFAULT CPUs=2
NodeName=node[1-2,07] NodeHostname=host1,host2,host7 \\
  Gres=gpu:a100:2   # and so on
Include %c_more.conf
PartitionName=p Nodes=ALL Default=YES
"""
MORE = """\
NodeName=plain NodeHostname=plainhost
NodeName=other Nodehostname=otherhost GRES=gpu:2
"""
GRES = """\
NodeName=node[1-2] Name=gpu Type=a100 File=/dev/nvidia[0-1]
nodename=node07 name=gpu type=a100 \\
    file="/dev/nvidia2,/dev/nvidia3"
NodeName=other Name=gpu MultipleFiles=/dev/nvidia1,/dev/nvidia-caps/nvidia-cap147,/dev/nvidiactl
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A node of a cluster, whose name is the test's to say."""
    write(tmp_path, SLURM_CONF, CLUSTER)
    write(tmp_path, "etc/slurm/mig_more.conf", MORE)
    write(tmp_path, GRES_CONF, GRES)
    return tmp_path


def found(root: Path, host: str = "host1") -> list[Claimant]:
    """What Slurm has on the machine of that name."""
    return [*slurm.claimants(root, host)]


def minors(root: Path, host: str = "host1") -> set[int]:
    """The GPUs it has, which must be known."""
    claimants = found(root, host)
    assert not any(one.everything for one in claimants), claimants
    return {minor for one in claimants for minor in one.minors}


@pytest.mark.parametrize(
    ("host", "gpus"),
    [
        ("host1", {0, 1}),
        ("host2.example.org", {0, 1}),
        ("host7", {2, 3}),
        ("otherhost", {1}),
        ("plainhost", set()),
        ("sends-jobs-only", set()),
    ],
)
def test_each_node_has_its_own_lines(root: Path, host: str, gpus: set[int]) -> None:
    """By the names of its hosts, through continued, included, quoted lines in any case."""
    assert minors(root, host) == gpus


def test_the_line_is_named(root: Path) -> None:
    """So that it can be found and changed."""
    (claimant,) = found(root)
    assert claimant.name == "Slurm"
    assert claimant.source == f"{root / GRES_CONF} line 1"
    assert "gres.conf" in claimant.remedy


@pytest.mark.parametrize(
    ("gres", "everything"),
    [
        ("AutoDetect=nvml", True),
        ("autodetect=NVML\nName=gpu File=/dev/nvidia0", True),
        ("AutoDetect=nvml\nNodeName=node1 AutoDetect=off Name=gpu File=/dev/nvidia1", False),
        ("NodeName=node2 AutoDetect=nvml\nName=gpu File=/dev/nvidia1", False),
        ("AutoDetect=rsmi\nName=gpu File=/dev/nvidia1", False),
        ("", True),
        ("Name=gpu Type=a100 Count=2", True),
    ],
)
def test_what_slurm_finds_by_itself_is_all(root: Path, gres: str, everything: bool) -> None:
    """So is what slurm.conf gives and gres.conf does not name; a node's own line wins."""
    write(root, GRES_CONF, gres)
    assert any(one.everything for one in found(root)) is everything
    assert found(root)


@pytest.mark.parametrize(
    "gres", ["Gres=gpu", "Gres=license:5,gpu:2", "Gres=mps:100", "Gres=shard:4"]
)
def test_parts_of_gpus_are_gpus(root: Path, gres: str) -> None:
    """Slurm shares GPUs out in several ways."""
    write(root, SLURM_CONF, f"NodeName=host1 {gres}")
    write(root, GRES_CONF, "AutoDetect=nvml")
    assert [one.everything for one in found(root)] == [True]


@pytest.mark.parametrize("gres", ["", "Gres=gpu:0", "Gres=gpu:a100:0", "Gres=fpga:2"])
def test_a_node_without_gpus_of_slurms(root: Path, gres: str) -> None:
    """What would be found there is not counted."""
    write(root, SLURM_CONF, f"NodeName=host1 {gres}")
    write(root, GRES_CONF, "AutoDetect=nvml")
    assert found(root) == []


def test_defaults_hold_for_the_nodes_that_follow(root: Path) -> None:
    """For those that say nothing else."""
    write(root, GRES_CONF, "AutoDetect=nvml")
    text = "NodeName=host2\nNodeName=DEFAULT Gres=gpu:2\nNodeName=host1\nNodeName=host7 Gres=fpga\n"
    write(root, SLURM_CONF, text)
    assert [bool(found(root, host)) for host in ("host1", "host2", "host7")] == [True, False, False]


def test_nodes_are_known_by_links_too(root: Path) -> None:
    """Administrators give GPUs names of their own."""
    node = root / "dev" / "first"
    node.parent.mkdir()
    node.symlink_to("nvidia5")
    write(root, GRES_CONF, "Name=gpu File=/dev/first,/dev/dri/renderD128,/dev/nvidia-uvm")
    assert minors(root) == {5}


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes device nodes")
def test_nodes_are_known_by_their_numbers(root: Path) -> None:
    """Whatever they are called; NVIDIA's control node is no GPU."""
    (root / "dev").mkdir()
    for name, minor in (("green", 6), ("control", 255)):
        os.mknod(root / "dev" / name, 0o020600, os.makedev(195, minor))
    write(root, GRES_CONF, "Name=gpu File=/dev/green,/dev/control")
    assert minors(root) == {6}


def test_a_running_slurmd_tells_where_it_is_configured(tmp_path: Path) -> None:
    """And by what name it goes."""
    write(tmp_path, "srv/slurm.conf", "NodeName=node[1-2] Gres=gpu:1")
    write(tmp_path, "srv/gres.conf", "NodeName=node2 Name=gpu File=/dev/nvidia3")
    process(tmp_path, "slurmd", "-D", "-f", "/srv/slurm.conf", "-Nnode2")
    assert minors(tmp_path, "elsewhere") == {3}
    shutil.rmtree(tmp_path / "proc")
    process(tmp_path, "slurmd", "-N", "node2", SLURM_CONF="/srv/slurm.conf")
    assert minors(tmp_path, "elsewhere") == {3}


def test_a_slurmd_without_a_word_has_all(tmp_path: Path) -> None:
    """It got its configuration from afar."""
    process(tmp_path, "slurmd", "--conf-server", "control")
    (claimant,) = found(tmp_path)
    assert claimant.everything
    assert "pid 4711" in claimant.source


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_other_users_processes_say_nothing(tmp_path: Path) -> None:
    """Anybody may call a program so, to keep the broker from starting."""
    os.chown(process(tmp_path, "slurmd"), 64301, 64301)
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    "conf",
    [
        "NodeName=node[1-",
        "Include nowhere.conf",
        "Include slurm.conf",
        "Include /etc/slurm",
        "NodeName=n[0-65535]x[0-65535] Gres=gpu:1",
    ],
)
def test_what_cannot_be_understood_has_all(tmp_path: Path, conf: str) -> None:
    """Lists without an end, files that are not there, that include themselves, that are none."""
    file = write(tmp_path, SLURM_CONF, conf)
    (claimant,) = found(tmp_path)
    assert claimant.everything
    assert str(file.parent) in claimant.source
    write(tmp_path, SLURM_CONF, "NodeName=host1 Gres=gpu:1")
    write(tmp_path, GRES_CONF, "NodeName=host[1- Name=gpu File=/dev/nvidia0")
    assert [one.everything for one in found(tmp_path)] == [True]


def test_a_pipe_in_place_of_a_file_holds_nobody_up(tmp_path: Path) -> None:
    """Nor does a device, or a link to itself."""
    (tmp_path / "etc/slurm").mkdir(parents=True)
    os.mkfifo(tmp_path / SLURM_CONF)
    assert "no plain file" in found(tmp_path)[0].source
    (tmp_path / SLURM_CONF).unlink()
    (tmp_path / SLURM_CONF).symlink_to("slurm.conf")
    assert found(tmp_path)[0].everything
    (tmp_path / SLURM_CONF).unlink()
    (tmp_path / SLURM_CONF).symlink_to("/dev/zero")
    assert found(tmp_path)[0].everything


def test_a_node_without_slurm(tmp_path: Path) -> None:
    """Nothing there, nothing claimed."""
    assert found(tmp_path) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=200), st.text(alphabet='nodename=host[1-9],gresfile/v\\#"\n ', max_size=200)
)
def test_any_text_is_read(tmp_path: Path, conf: str, gres: str) -> None:
    """Whatever it says, an answer comes."""
    write(tmp_path, SLURM_CONF, conf.encode(errors="replace").decode())
    write(tmp_path, GRES_CONF, gres)
    assert isinstance(found(tmp_path), list)


@pytest.mark.skipif(
    shutil.which("slurmd") is None or os.getuid() != 0,
    reason="needs Slurm's slurmd, and root to make device nodes",
)
@pytest.mark.parametrize(
    ("node", "host"), [("node1", "host1"), ("node07", "host7"), ("plain", "plainhost")]
)
def test_slurmd_sees_the_same_gpus(root: Path, node: str, host: str) -> None:
    """Slurm's own daemon, asked what it would offer with these files."""
    (root / "dev").mkdir()
    for minor in range(4):
        os.mknod(root / f"dev/nvidia{minor}", 0o020600, os.makedev(240, minor))
    gres = (root / GRES_CONF).read_text().replace("/dev/", f"{root}/dev/")
    (root / GRES_CONF).write_text(gres.rpartition("NodeName=other")[0])
    conf = root / SLURM_CONF
    conf.write_text(conf.read_text() + "SlurmctldHost=localhost\nGresTypes=gpu\n")
    done = subprocess.run(
        ["slurmd", "-G", "-f", conf, "-N", node], capture_output=True, text=True, check=False
    )
    files = re.findall(r"File=(\S+)", done.stdout + done.stderr)
    offered = {int(name[-1]) for each in files for name in hostlist.expand(each)}
    write(root, GRES_CONF, gres.replace(f"{root}/dev/", "/dev/"))
    assert minors(root, host) == offered, done.stdout + done.stderr
