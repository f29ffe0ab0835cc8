"""Looking at every GPU, those that do not answer too."""

from __future__ import annotations

import pytest

from jupyter_mig import errors
from jupyter_mig.nvml.examination import Mig, examine
from jupyter_mig.nvml.simulated import Returned
from tests.nvml.nodes import Install


def test_a_gpu_in_trouble_hides_no_other(install: Install) -> None:
    """One lost, one that needs a reset, one in order: each tells its own."""
    _, truth = install("3xA100-SXM4-40GB?time_scale=0")
    truth.lose(0)
    truth.require_reset(1)
    lost, reset, sound = examine().gpus
    assert (lost.code, reset.code, sound.code) == (15, 16, 0)
    assert lost.trouble
    assert sound.mig is Mig.ON
    assert (sound.configures, sound.monitors, sound.instances) == (True, True, ())


def test_who_may_do_what(install: Install) -> None:
    """Without privilege instances are seen but not made; monitoring is a right of its own."""
    _, truth = install("1xA100-SXM4-40GB?time_scale=0&privileged=off&monitor=on")
    truth.create(0, "1g.5gb")
    (gpu,) = examine().gpus
    assert (gpu.configures, gpu.monitors) == (False, True)
    assert [instance.profile_name for instance in gpu.instances] == ["1g.5gb"]


def test_modes_and_processes(install: Install) -> None:
    """Off, with somebody on the whole GPU, who keeps it from going on."""
    _, truth = install("1xA100-SXM4-40GB?time_scale=0&mig=off")
    assert examine().gpus[0].mig is Mig.OFF
    with truth.cuda_client(truth.gpus[0].uuid):
        (pid,) = truth.clients
        with pytest.raises(Returned):
            truth.set_mig_mode(0, on=True)
        (gpu,) = examine().gpus
    assert (gpu.mig, gpu.pids) == (Mig.TURNING_ON, (pid,))
    assert gpu.configures is None


def test_no_driver_is_an_error(install: Install) -> None:
    """There is nothing to look at then."""
    _, truth = install()
    truth.remove_driver()
    with pytest.raises(errors.NoDriver):
        examine()
