"""The simulator as libnvidia-ml.so.1: for programs that load NVML as they always do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import jupyter_mig
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated import shared_library
from jupyter_mig.nvml.simulated.exported import exports, prototypes

ROOT = Path(jupyter_mig.__file__).parent.parent

pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here"),
    pytest.mark.skipif(
        not sysconfig.get_config_var("Py_ENABLE_SHARED"), reason="this Python has no libpython"
    ),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, built as a user builds it."""
    folder = tmp_path_factory.mktemp("library")
    command = [sys.executable, "-m", shared_library.__name__, "--output", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert built.stdout == f"{folder}/libnvidia-ml.so.1\n"
    return folder / "libnvidia-ml.so.1"


def output_of(
    command: list[str], library: Path, node: str = "", state: Path | None = None, **more: str
) -> str:
    """What a program prints that finds this NVML where it looks for NVIDIA's."""
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(library.parent),
        "JUPYTER_MIG_SIMULATED_NODE": node,
        "JUPYTER_MIG_SIMULATED_STATE": str(state or ""),
        **more,
    }
    run = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    return run.stdout


@pytest.fixture(scope="module")
def lister(library: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A C program linked against it."""
    source = Path(__file__).with_name("list_mig_devices.c")
    program = tmp_path_factory.mktemp("program") / "list"
    link = [f"-L{library.parent}", "-lnvidia-ml", "-Wl,--unresolved-symbols=ignore-in-shared-libs"]
    subprocess.run(["cc", "-Wall", "-Werror", str(source), *link, "-o", str(program)], check=True)
    return str(program)


def test_a_c_program_lists_and_makes_instances(lister: str, library: Path, tmp_path: Path) -> None:
    """It sees what Python made, and Python sees what it made, through the state file."""
    state = tmp_path / "silicon.json"
    spec = "1xA30,1xGB200?time_scale=0"
    with simulated.installed(spec, state=state) as node:
        uuids = [node.create(0, "1g.6gb", 1), node.create(0, "2g.12gb", 2)]
        uuids.append(node.create(1, "3g.93gb"))
    assert output_of([lister], library, spec, state).splitlines() == [
        f"0 {uuids[0]} NVIDIA A30 MIG 1g.6gb",
        f"1 {uuids[1]} NVIDIA A30 MIG 2g.12gb",
        f"0 {uuids[2]} NVIDIA GB200 MIG 3g.93gb",
        "create again: 23 Insufficient Resources",
    ]
    with simulated.attached(state) as node:
        assert [one.start for one in node.gpus[0].instances] == [1, 2, 0]


@pytest.mark.parametrize("node", ["", "1xA31", "1xA30?driver=1"])
def test_without_a_node_there_is_no_driver(lister: str, library: Path, node: str) -> None:
    """Simulation is never chosen silently, nor guessed from a name that says nothing."""
    assert output_of([lister], library, node) == "nvmlInit: 9 Driver Not Loaded\n"


def test_a_library_whose_package_is_gone_has_no_driver(
    lister: str, library: Path, tmp_path: Path
) -> None:
    """It does not answer success for what it cannot do any more."""
    broken = tmp_path / "jupyter_mig"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('moved')", encoding="utf-8")
    output = output_of([lister], library, "1xA30", PYTHONPATH=str(tmp_path))
    assert output.startswith("nvmlInit: 9 ")


def test_the_driver_keeps_its_contract_through_the_library(library: Path, tmp_path: Path) -> None:
    """The whole contract suite, in a process whose pynvml loads this library by itself."""
    suite = ["tests/nvml/test_driver_contract.py", "-q", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *suite, f"--basetemp={tmp_path / 'suite'}"]
    output = output_of(command, library, NVML_IS_THE_SIMULATED_LIBRARY="1")
    summary = output.splitlines()[-1]
    assert re.fullmatch(r"[0-9]+ passed in .*", summary), output


def test_an_old_driver_lacks_the_newer_functions_here_too(library: Path) -> None:
    """They are symbols of the library, and answer Function Not Found."""
    script = """
import pynvml
pynvml.nvmlInit()
device = pynvml.nvmlDeviceGetHandleByIndex(0)
try:
    pynvml.nvmlDeviceGetGpuInstanceProfileInfoById(device, 14)
except pynvml.NVMLError as error:
    print(error.value)
"""
    node = "1xA30?driver=535"
    assert output_of([sys.executable, "-c", script], library, node) == "13\n"


def test_every_function_is_exported(library: Path) -> None:
    """What Python programs find, others find too; prototypes and symbols come from one table."""
    declared = set(re.findall(r"\b(nvml\w+)\(", prototypes()))
    assert declared == {*exports(), "nvmlErrorString"}
    script = (
        "import ctypes, sys; [getattr(ctypes.CDLL(sys.argv[1]), name) for name in sys.argv[2:]]"
    )
    subprocess.run([sys.executable, "-c", script, str(library), *declared], check=True)
