"""What claims of others mean for a broker's start."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from traitlets.config import Config

from jupyter_mig import errors
from jupyter_mig.broker.claimants import search
from jupyter_mig.broker.claimants.disputes import concerns_node
from jupyter_mig.broker.claimants.search import Claim
from jupyter_mig.broker.system.configuration import MIGBroker
from jupyter_mig.nvml.driver import open_driver
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.wire import meeting
from jupyter_mig.wire.messages import ErrorBody
from tests.broker.claimants.trees import GRES_CONF, checkpoint, gpu, service, write
from tests.nvml.nodes import spec_of

Tell = Callable[[Path], object]


def slurm(root: Path) -> object:
    """Slurm has the GPU of minor number 0, which is NVML's second."""
    return write(root, GRES_CONF, "Name=gpu File=/dev/nvidia0")


@pytest.fixture
def driver() -> Iterator[HardwarePort]:
    """Two GPUs."""
    opened = open_driver("simulated:2xA30?time_scale=0")
    yield opened
    opened.close()


def claimed(root: Path, driver: HardwarePort) -> list[Claim]:
    """All claims on the driver's GPUs."""
    return search.claims(search.search(root), lambda _: True, driver)


def test_minor_numbers_are_not_nvmls(tmp_path: Path, driver: HardwarePort) -> None:
    """The GPU whose node it is; and the error says who has which, by what, and what to do."""
    slurm(tmp_path)
    (claim,) = claimed(tmp_path, driver)
    assert claim.gpu.index == 1
    with pytest.raises(errors.ClaimedElsewhere, match="GPU 1 is managed by Slurm already") as error:
        search.require_none([claim])
    assert f"{tmp_path / GRES_CONF} line 1" in error.value.situation
    assert claim.gpu.uuid in error.value.situation
    assert "slurmd" in error.value.next_step


def test_a_slice_that_is_registered_is_its_gpus(tmp_path: Path, driver: HardwarePort) -> None:
    """The GPU on which the MIG device is now."""
    first, second = driver.gpus()
    driver.create(spec_of(first))
    made = driver.create(spec_of(second))
    checkpoint(tmp_path, {"nvidia.com/mig-1g.6gb": [made.mig_uuid]})
    assert [claim.gpu.index for claim in claimed(tmp_path, driver)] == [1]


def test_all_claimants_are_told_at_once(tmp_path: Path, driver: HardwarePort) -> None:
    """Nobody wants to be told one by one."""
    slurm(tmp_path)
    service(tmp_path)
    with pytest.raises(errors.ClaimedElsewhere, match="2 GPUs are managed by mig-manager, Slurm"):
        search.require_none(claimed(tmp_path, driver))
    search.require_none([])


def test_where_files_are(tmp_path: Path) -> None:
    """The system's, for hardware; a simulated node's own, if it has a place for files."""
    assert search.root_of("nvml") == Path("/")
    assert search.root_of(f"simulated:1xA30?root={tmp_path}") == tmp_path
    assert search.root_of("simulated:1xA30") is None
    assert search.search(None) == ()


@pytest.mark.parametrize(
    ("tell", "settings", "counts"),
    [
        (slurm, {"gpus": [gpu().uuid]}, True),
        (slurm, {"static_gpus": [gpu().uuid]}, True),
        (slurm, {"gpus": ["GPU-else"]}, False),
        (slurm, {"gpus": [gpu().uuid], "claimed_gpus_are_ours": [gpu().uuid]}, True),
        (service, {"gpus": [gpu().uuid]}, True),
        (service, {"gpus": [gpu().uuid], "claimed_gpus_are_ours": [gpu().uuid]}, False),
        (service, {"static_gpus": [gpu().uuid]}, False),
    ],
)
def test_what_keeps_a_nodes_broker_from_starting(
    tmp_path: Path, tell: Tell, settings: dict[str, list[str]], counts: bool
) -> None:
    """Whatever is on its lists; but who only cuts at boot is in the way of cutting alone, and an
    administrator may say that he is not.
    """
    tell(tmp_path)
    own = MIGBroker(config=Config(MIGBroker=settings))
    claims = [Claim(gpu(), one) for one in search.search(tmp_path) if one.has(gpu())]
    assert [concerns_node(own, claim) for claim in claims] == [counts]


def begun(place: Path, driver: str, inventory: str) -> subprocess.Popen[bytes]:
    """A user's own broker, which listens by now or has ended."""
    place.mkdir(mode=0o700)
    command = (sys.executable, "-m", "jupyter_mig.broker", "--place", place, "--driver", driver)
    process = subprocess.Popen([*command, "--inventory", inventory])
    give_up_at = time.monotonic() + 60
    while process.poll() is None and not (place / meeting.SOCKET).exists():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    return process


def test_a_users_own_broker_cuts_nothing_of_others(tmp_path: Path) -> None:
    """It says why it does not start."""
    slurm(tmp_path / "root")
    driver = f"simulated:2xA30?time_scale=0&root={tmp_path}/root"
    assert begun(tmp_path / "one", driver, "dynamic:1 static").wait(60) == 1
    note = (tmp_path / "one" / meeting.START_ERROR).read_bytes()
    assert msgspec.json.decode(note, type=ErrorBody).kind == "claimed-elsewhere"


def test_a_users_own_broker_hands_out_what_others_have_cut(tmp_path: Path) -> None:
    """In a job of Slurm's, say."""
    slurm(tmp_path / "root")
    driver = f"simulated:2xA30?time_scale=0&root={tmp_path}/root"
    process = begun(tmp_path / "two", driver, "dynamic:0 static")
    assert process.poll() is None
    process.terminate()
    process.wait(60)
