"""A node with a broker for all users that cuts one GPU and hands out another whole."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.broker.system.shared_node import SharedNode, standing, uuids

ACCOUNT = f"mig-whole-{os.getpid()}"
"""The broker's, with a group of its own; another's in a run of the tests beside this one."""
WHOLE = "full.80gb"
SLICE = "1g.10gb"
CUT, GIVEN = 0, 1
"""The numbers of its GPUs; the simulated driver numbers their nodes the other way round."""


class WholeNode(SharedNode):
    """Such a one."""

    hardware = "2xH100 80GB HBM3?time_scale=0&mig=off"

    def __init__(self, directory: Path, **settings: object) -> None:
        cut, given = uuids(self.hardware)
        own = {"gpus": [cut], "whole_gpus": [given], "enable_mig_mode": True, "user": ACCOUNT}
        super().__init__(directory, **{**own, **settings})
        self.given = given
        self.parameters = self.tree / "proc/driver/nvidia/params"
        self.parameters.parent.mkdir(parents=True)
        self.say(0)
        about = self.parameters.parent / "gpus" / "0000:07:00.0" / "information"
        about.parent.mkdir(parents=True)
        about.write_text(f"Model: \t\t NVIDIA H100\nGPU UUID: \t {given}\nDevice Minor: \t 0\n")

    def say(self, modifies: int) -> None:
        """Have the driver's parameter be that."""
        self.parameters.write_text(f"ModifyDeviceFiles: {modifies}\nDeviceFileMode: 438\n")

    @property
    def node(self) -> Path:
        """The device node of the GPU that is handed out whole."""
        return self.tree / "dev" / "nvidia0"

    @property
    def other(self) -> Path:
        """That of the one that is cut."""
        return self.tree / "dev" / "nvidia1"


@contextmanager
def whole_node(**settings: object) -> Iterator[WholeNode]:
    """One whose broker is not started yet."""
    subprocess.run(["useradd", "--system", "--no-create-home", ACCOUNT], check=True)
    try:
        with standing(WholeNode, **settings) as node:
            yield node
    finally:
        subprocess.run(["userdel", ACCOUNT], check=True)
