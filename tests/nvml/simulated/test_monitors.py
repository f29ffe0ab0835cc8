"""Programs that people watch GPUs with, on the simulated NVML."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mig.nvml import simulated

ROOT = Path(simulated.__file__).parents[3]

NVITOP = """
import sys
from pathlib import Path
from jupyter_mig.nvml import simulated
from nvitop import Device, MigDevice
with simulated.installed(sys.argv[1], state=Path(sys.argv[2])):
    for gpu in Device.all():
        assert isinstance(gpu.cuda_compute_capability(), tuple)
        print(gpu.index, gpu.name(), gpu.uuid(), gpu.mig_mode(), gpu.memory_total_human())
        for mig in gpu.mig_devices():
            used = mig.memory_used() >> 20
            print(mig.index, mig.name(), mig.uuid(), used, sorted(mig.processes()))
"""


@pytest.fixture(autouse=True)
def nvitop() -> None:
    """These tests need it; skipped, saying so, without."""
    if importlib.util.find_spec("nvitop") is None:
        pytest.skip("nvitop is not installed: no monitor to read the simulation with")


def output_of(script: str, *arguments: str) -> list[str]:
    """What a program prints."""
    command = [sys.executable, "-c", script, *arguments]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout.splitlines()


def test_nvitop_reads_gpus_slices_and_processes(tmp_path: Path) -> None:
    """Names, UUIDs, memory and who is where, as it takes them from a real driver."""
    state = tmp_path / "silicon.json"
    spec = "1xH100 80GB HBM3,1xA30?time_scale=0"
    with simulated.installed(spec, state=state) as node:
        small, big = node.create(0, "1g.10gb"), node.create(0, "3g.40gb")
        with node.cuda_client(small, memory_bytes=100 << 20):
            printed = output_of(NVITOP, spec, str(state))
        assert printed == [
            f"0 NVIDIA H100 80GB HBM3 {node.gpus[0].uuid} Enabled 79.65GiB",
            f"(0, 0) NVIDIA H100 80GB HBM3 MIG 1g.10gb {small} 109 [{os.getpid()}]",
            f"(0, 1) NVIDIA H100 80GB HBM3 MIG 3g.40gb {big} 25 []",
            f"1 NVIDIA A30 {node.gpus[1].uuid} Enabled 24.00GiB",
        ]


def test_nvitops_own_screen_shows_the_slices(tmp_path: Path) -> None:
    """The whole program, printing once."""
    state = tmp_path / "silicon.json"
    script = (
        "import sys; from pathlib import Path; from jupyter_mig.nvml import simulated\n"
        "from nvitop.cli import main\n"
        "spec, state, *sys.argv[1:] = sys.argv[1:]\n"
        "with simulated.installed(spec, state=Path(state)):\n"
        "    main()\n"
    )
    spec = "1xGH200 480GB?time_scale=0"
    with simulated.installed(spec, state=state) as node:
        node.create(0, "2g.24gb")
        screen = "\n".join(output_of(script, spec, str(state), "--once", "--ascii"))
    assert "GH200 480GB" in screen
    assert "2g.24gb" in screen
