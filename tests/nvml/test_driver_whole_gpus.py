from __future__ import annotations

import os
import subprocess
import sys

from jupyter_mig.core.geometry import Identity
from tests.nvml.nodes import Install


def test_a_whole_gpu_tells_its_memory_and_who_computes_on_it(install: Install) -> None:
    """Without MIG a GPU is asked itself; who only draws a desktop is not on it."""
    driver, node = install("1xA30?mig=off")
    (gpu,) = driver.gpus()
    whole = Identity.of_gpu(gpu.uuid)
    assert driver.instances(gpu.uuid) == ()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as desktop:
        with node.graphics_client(gpu.uuid, desktop.pid):
            assert driver.occupants(gpu.uuid, whole) == ()
            with node.cuda_client(gpu.uuid):
                assert driver.occupants(gpu.uuid, whole) == (os.getpid(),)
        desktop.kill()
    assert driver.memory(whole)[1] == gpu.memory_bytes
