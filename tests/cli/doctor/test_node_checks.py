"""What the doctor makes of single facts about a node with a broker for all users."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mig.broker.system.configuration import MIGBroker
from jupyter_mig.cli.doctor import helper, locks, modprobe, node_broker, remote
from jupyter_mig.cli.doctor.boundary import Attempt
from jupyter_mig.cli.doctor.broker import BrokerFacts
from jupyter_mig.cli.doctor.finding import Level
from jupyter_mig.cli.doctor.nodes import NodeFile
from jupyter_mig.client import Settings
from jupyter_mig.client.remote import Remote
from tests.cli.doctor.test_checks import said

ALICE, BOB = 64311, 64312
OPENS = os.makedev(1, 8)
"""A device that opens for real and that nobody has open: /dev/random."""
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root makes device nodes")


@needs_root
def test_a_descriptor_from_before_is_found_by_root(tmp_path: Path) -> None:
    """Bob has a node open that is Alice's now; her own process may, and so may root's."""
    node = tmp_path / "nvidia-cap8"
    os.mknod(node, stat.S_IFCHR | 0o400, OPENS)
    os.chown(node, ALICE, 0)
    attempt = Attempt(node, 8, ALICE, 0o400, 13)
    with node.open("rb") as opened:
        for uid, levels in ((BOB, {Level.PROBLEM}), (ALICE, set())):
            holder = subprocess.Popen(
                ["/usr/bin/cat"], user=uid, group=uid, stdin=subprocess.PIPE, stdout=opened
            )
            facts = helper.look(MIGBroker(helper_directory=str(tmp_path)), (), (attempt,))
            found = [one for one in helper.check(facts) if one.about == "open descriptors"]
            assert {one.level for one in found} == levels
            assert all(f"process {holder.pid} of user {BOB}" in one.seen for one in found)
            holder.communicate()


def test_the_register_is_held_against_the_hardware() -> None:
    """What is gone, and what is there that is not ours; both can be in good order."""
    facts = helper.HelperFacts(
        Path("/x"), made=frozenset({("GPU-1", 7)}), there=frozenset({("GPU-1", 8)})
    )
    text = said(helper.check(facts), Level.NOTE)
    assert "instances that are gone: 7 on GPU-1" in text
    assert "did not make, and does not destroy: 8 on GPU-1" in text


@pytest.mark.parametrize(
    ("text", "modifies", "level"),
    [("ModifyDeviceFiles: 1\n", True, Level.NOTE), ("ModifyDeviceFiles: 0\n", False, Level.OK)],
)
def test_the_drivers_parameter_is_read(
    tmp_path: Path, text: str, modifies: bool, level: Level
) -> None:
    """As the driver writes it, among others."""
    file = tmp_path / "proc/driver/nvidia/params"
    file.parent.mkdir(parents=True)
    file.write_text(f"ResmanDebugLevel: 4294967295\n{text}DeviceFileUID: 0\n")
    facts = modprobe.look(tmp_path)
    assert facts.modifies is modifies
    (found,) = modprobe.check(facts)
    assert found.level is level


def test_a_driver_that_does_not_tell_is_said_so(tmp_path: Path) -> None:
    """In a container, say."""
    (found,) = modprobe.check(modprobe.look(tmp_path))
    assert "does not tell" in found.seen


def test_who_keeps_a_slices_lock_is_named(tmp_path: Path) -> None:
    """A process that is not of our broker's; what our broker has locked is in good order."""
    node = tmp_path / "nvidia-cap12"
    node.touch()
    files = (NodeFile(node, "1g.5gb on GPU 0", node),)
    program = (
        "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_SH)\n"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, node], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        text = said(locks.check(locks.look(files, None)), Level.NOTE)
        assert f"1g.5gb on GPU 0 is kept by process {holder.pid} (python" in text
        assert locks.look(files, holder.pid) == ()
        holder.communicate()
    assert locks.look(files, None) == ()


def test_a_remote_broker_that_is_not_there(tmp_path: Path) -> None:
    """Said with its address; and a token that cannot be read, with its file."""
    facts = remote.look(Remote("http://127.0.0.1:9", token="t"))
    assert "http://127.0.0.1:9" in said(remote.check(facts))
    facts = remote.look(Remote("http://127.0.0.1:9", token_file=tmp_path / "none"))
    assert str(tmp_path / "none") in said(remote.check(facts))


@pytest.mark.parametrize(
    ("unit", "level"), [("active", Level.OK), ("failed", Level.PROBLEM), ("", Level.OK)]
)
def test_what_systemd_says(unit: str, level: Level) -> None:
    """A service that failed, where nobody answers, is a problem; no systemd is said to be none."""
    facts = node_broker.NodeBrokerFacts(
        Path("/x"), own=MIGBroker(), user_id=1, unit=unit, door=node_broker.DoorFacts(exists=False)
    )
    found = node_broker.check(facts, BrokerFacts(Path("/x"), Settings()))
    assert [one.level for one in found if one.about == "service"] == [level]


def test_a_user_who_is_not_there_is_to_be_made() -> None:
    """With the command."""
    facts = node_broker.NodeBrokerFacts(
        Path("/x"), own=MIGBroker(user="nemo"), door=node_broker.DoorFacts(exists=False)
    )
    assert "useradd --system" in said(node_broker.check(facts, BrokerFacts(Path(), Settings())))
