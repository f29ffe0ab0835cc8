"""What the helper remembers of what it made, on file."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from jupyter_mig import errors
from jupyter_mig.broker.helper import verbs
from jupyter_mig.broker.helper.helper import Helper
from jupyter_mig.broker.helper.register import Register
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.driver import Driver
from tests.disks import small_disk

NODE = "1xA100-SXM4-40GB?time_scale=0"
ONE_G = 19


def test_gpus_are_cut_at_the_same_time(tmp_path: Path) -> None:
    """Each from a thread of its own: nothing is forgotten, and none is in another's way."""
    register = Register(tmp_path / "made.json")
    wanted = {(f"GPU-{gpu}", instance) for gpu in range(8) for instance in range(8)}

    def make(gpu: int) -> None:
        for instance in range(8):
            register.add(f"GPU-{gpu}", instance)
            register.add(f"GPU-{gpu}", 99)
            register.remove(f"GPU-{gpu}", 99)

    with ThreadPoolExecutor(8) as lanes:
        list(lanes.map(make, range(8)))
    assert register.made == wanted
    assert Register(tmp_path / "made.json").made == wanted


def test_on_a_full_disk_nothing_is_made_that_would_be_forgotten(tmp_path: Path) -> None:
    """After a restart it would be nobody's. What is there is destroyed, once it can be noted."""
    with small_disk(tmp_path / "helper", "64k") as disk, simulated.installed(NODE):
        driver = Driver(f"simulated:{NODE}", simulated=True)
        (gpu,) = driver.gpus()
        helper = Helper(driver, (gpu.uuid,), Register(disk / "made.json"))
        made = helper.do(verbs.Create(0, ONE_G, 0))
        assert isinstance(made, verbs.Created)
        ballast = _fill(disk)
        refused = helper.do(verbs.Create(0, ONE_G, 1))
        assert isinstance(refused, verbs.Failed)
        assert (refused.kind, str(disk) in refused.situation) == (errors.UnwritableLog.kind, True)
        assert [each.identity for each in driver.instances(gpu.uuid)] == [made.identity]
        helper.do(verbs.Destroy(0, made.identity.gi_id))
        ballast.unlink()
        assert helper.do(verbs.Destroy(0, made.identity.gi_id)) == verbs.Done()
        assert driver.instances(gpu.uuid) == ()
        assert Register(disk / "made.json").made == frozenset()
        driver.close()


def _fill(disk: Path) -> Path:
    """A file that leaves no room."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert not os.statvfs(disk).f_bavail
    return ballast
