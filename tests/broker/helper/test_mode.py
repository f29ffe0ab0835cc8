"""MIG mode, turned on by the helper: Hopper loses it at each boot, Ampere keeps it over them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from jupyter_mig.broker.helper import verbs
from jupyter_mig.broker.helper.helper import Helper
from jupyter_mig.broker.helper.register import Register
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.driver import Driver

HOPPER = "2xH100 80GB HBM3"
AMPERE = "1xA100-SXM4-40GB"


class Booted:
    """A node on which MIG mode is off, and its driver."""

    def __init__(self, node: simulated.Node, directory: Path) -> None:
        self.node = node
        self.driver = Driver("simulated:", simulated=True)
        self.uuids = tuple(gpu.uuid for gpu in self.driver.gpus())
        self.directory = directory

    def helper(self, *turned_on: str) -> Helper:
        """A helper for all GPUs that is to turn MIG mode on, on some."""
        register = Register(self.directory / "made.json")
        return Helper(self.driver, self.uuids, register, turned_on=turned_on)

    def on(self) -> list[bool]:
        """On which GPUs MIG mode is on."""
        return [gpu.mig_enabled for gpu in self.driver.gpus()]


@contextmanager
def booted(model: str, directory: Path, *options: str) -> Iterator[Booted]:
    """Such a node."""
    with simulated.installed("&".join((f"{model}?mig=off", "time_scale=0", *options))) as node:
        one = Booted(node, directory)
        with closing(one.driver):
            yield one


def test_a_hopper_gpu_is_turned_on_and_can_be_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that were named, and no other."""
    caplog.set_level(logging.INFO)
    with booted(HOPPER, tmp_path) as one:
        helper = one.helper(one.uuids[0])
        assert one.on() == [True, False]
        assert isinstance(helper.do(verbs.Create(0, 19, 0)), verbs.Created)
        one.helper(one.uuids[0])
    assert [each.message for each in caplog.records if "MigOn" in each.message] == [
        f"TurnMigOn gpu={one.uuids[0]}"
    ]


def test_a_gpu_on_which_somebody_computes_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The mode is not even asked for: it would be on at some later moment. Others are turned on."""
    with booted(HOPPER, tmp_path) as one:
        with one.node.cuda_client(one.uuids[0], os.getpid()):
            one.helper(*one.uuids)
            assert one.on() == [False, True]
        assert f"Processes: {os.getpid()}" in caplog.text
        one.helper(*one.uuids)
        assert one.on() == [True, True]


def test_an_ampere_gpu_is_not_reset(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The driver would, for the mode; what to do is told."""
    with booted(AMPERE, tmp_path) as one:
        one.helper(*one.uuids)
        assert one.on() == [False]
    assert "takes a reset of the GPU" in caplog.text
    assert "-mig 1" in caplog.text


def test_a_mode_that_waits_for_a_reset_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody had asked for it while the GPU was in use."""
    with booted(AMPERE, tmp_path) as one:
        with one.node.cuda_client(one.uuids[0], os.getpid()), pytest.raises(simulated.Returned):
            one.node.set_mig_mode(0, on=True)
        one.helper(*one.uuids)
        assert one.on() == [False]
    assert "MIG mode waits for a reset of the GPU" in caplog.text
    assert "--gpu-reset" in caplog.text


def test_without_privilege_it_stays_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A broker that does not run as root says so, and goes on."""
    with booted(HOPPER, tmp_path, "privileged=off") as one:
        one.helper(*one.uuids)
        assert one.on() == [False, False]
    assert "Insufficient Permissions" in caplog.text


def test_it_is_turned_on_again_when_nvml_is_opened_again(tmp_path: Path) -> None:
    """The driver was let go of meanwhile, so that it could be loaded anew."""
    with booted(HOPPER, tmp_path) as one:
        helper = one.helper(*one.uuids)
        assert helper.do(verbs.LetGo()) == verbs.Done()
        for gpu in range(2):
            one.node.set_mig_mode(gpu, on=False)
        assert helper.do(verbs.TakeUp()) == verbs.Done()
        assert one.on() == [True, True]
