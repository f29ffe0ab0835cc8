"""Sizes, numbers and prototypes, held against NVIDIA's own header (PyPI: nvidia-nvml-dev)."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pynvml
import pytest

from jupyter_mig.nvml.simulated.arguments import anything
from jupyter_mig.nvml.simulated.codes import Code
from jupyter_mig.nvml.simulated.exported import exports, prototypes
from jupyter_mig.nvml.simulated.models import COMPUTE_ENUM_COUNT, GPU_ENUM_COUNT, known_models
from jupyter_mig.nvml.simulated.silicon import MIG_CONFIG_CHANGE, XID

STRUCTS = {
    "nvmlBAR1Memory_t": pynvml.c_nvmlBAR1Memory_t,
    "nvmlComputeInstanceInfo_t": pynvml.c_nvmlComputeInstanceInfo_t,
    "nvmlComputeInstancePlacement_t": pynvml.c_nvmlComputeInstancePlacement_t,
    "nvmlComputeInstanceProfileInfo_t": pynvml.c_nvmlComputeInstanceProfileInfo_t,
    "nvmlComputeInstanceProfileInfo_v2_t": pynvml.c_nvmlComputeInstanceProfileInfo_v2_t,
    "nvmlDeviceAttributes_t": pynvml.c_nvmlDeviceAttributes,
    "nvmlEventData_t": pynvml.c_nvmlEventData_t,
    "nvmlFieldValue_t": pynvml.c_nvmlFieldValue_t,
    "nvmlGpmMetric_t": pynvml.c_nvmlGpmMetric_t,
    "nvmlGpmMetricsGet_t": pynvml.c_nvmlGpmMetricsGet_t,
    "nvmlGpmSupport_t": pynvml.c_nvmlGpmSupport_t,
    "nvmlGpuInstanceInfo_t": pynvml.c_nvmlGpuInstanceInfo_t,
    "nvmlGpuInstancePlacement_t": pynvml.c_nvmlGpuInstancePlacement_t,
    "nvmlGpuInstanceProfileInfo_t": pynvml.c_nvmlGpuInstanceProfileInfo_t,
    "nvmlGpuInstanceProfileInfo_v2_t": pynvml.c_nvmlGpuInstanceProfileInfo_v2_t,
    "nvmlMemory_t": pynvml.c_nvmlMemory_t,
    "nvmlMemory_v2_t": pynvml.c_nvmlMemory_v2_t,
    "nvmlPciInfo_t": pynvml.nvmlPciInfo_t,
    "nvmlProcessInfo_t": pynvml.c_nvmlProcessInfo_v3_t,
    "nvmlUtilization_t": pynvml.c_nvmlUtilization_t,
}

_ERRORS = {
    Code.SUCCESS: "NVML_SUCCESS",
    Code.DRIVER_NOT_LOADED: "NVML_ERROR_DRIVER_NOT_LOADED",
    Code.LIB_RM_VERSION_MISMATCH: "NVML_ERROR_LIB_RM_VERSION_MISMATCH",
}
NUMBERS = {
    **{_ERRORS.get(code, f"NVML_ERROR_{code.name}"): int(code) for code in Code},
    "nvmlEventTypeXidCriticalError": XID,
    "nvmlEventMigConfigChange": MIG_CONFIG_CHANGE,
    "nvmlMemory_v2": pynvml.nvmlMemory_v2,
    "nvmlGpuInstanceProfileInfo_v2": pynvml.nvmlGpuInstanceProfileInfo_v2,
    "nvmlComputeInstanceProfileInfo_v2": pynvml.nvmlComputeInstanceProfileInfo_v2,
    "NVML_GPM_METRICS_GET_VERSION": pynvml.NVML_GPM_METRICS_GET_VERSION,
    "NVML_GPM_SUPPORT_VERSION": pynvml.NVML_GPM_SUPPORT_VERSION,
    "NVML_GPM_METRIC_GRAPHICS_UTIL": pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL,
    "NVML_GPM_METRIC_SM_UTIL": pynvml.NVML_GPM_METRIC_SM_UTIL,
    "NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED": pynvml.NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED,
    "NVML_GPU_INSTANCE_PROFILE_COUNT": GPU_ENUM_COUNT,
    "NVML_COMPUTE_INSTANCE_PROFILE_COUNT": COMPUTE_ENUM_COUNT,
}

ENUM_OF = {
    "1g.24gb": "1_SLICE",
    "1g.24gb+me": "1_SLICE_REV1",
    "1g.24gb+gfx": "1_SLICE_GFX",
    "1g.24gb+me.all": "1_SLICE_ALL_ME",
    "1g.24gb-me": "1_SLICE_NO_ME",
    "2g.48gb": "2_SLICE",
    "2g.48gb+gfx": "2_SLICE_GFX",
    "2g.48gb+me.all": "2_SLICE_ALL_ME",
    "2g.48gb-me": "2_SLICE_NO_ME",
    "4g.96gb": "4_SLICE",
    "4g.96gb+gfx": "4_SLICE_GFX",
}


@pytest.fixture(scope="module")
def header() -> Path:
    """NVIDIA's nvml.h; skipped, saying so, where it is not installed."""
    try:
        files = metadata.files("nvidia-nvml-dev") or []
    except metadata.PackageNotFoundError:
        pytest.skip("nvidia-nvml-dev is not installed: nothing to hold sizes and numbers against")
    return Path(str(next(one for one in files if one.name == "nvml.h").locate()))


def evaluated(header: Path, folder: Path, expressions: list[str]) -> dict[str, int]:
    """The values of C expressions, by a compiler that knows the header."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler here")
    lines = [f'    printf("%lld\\n", (long long)({one}));' for one in expressions]
    source = folder / "numbers.c"
    body = "\n".join(lines)
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <nvml.h>\n"
        f"int main(void)\n{{\n{body}\n    return 0;\n}}\n",
        encoding="ascii",
    )
    program = folder / "numbers"
    command = ["cc", f"-I{header.parent}", str(source), "-o", str(program)]
    subprocess.run(command, check=True)
    run = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    return dict(zip(expressions, map(int, run.stdout.split()), strict=True))


def test_structs_lie_in_memory_as_in_c(header: Path, tmp_path: Path) -> None:
    """Each has the header's size, and each of its fields the header's offset."""
    expected = {}
    for name, struct in STRUCTS.items():
        expected[f"sizeof({name})"] = ctypes.sizeof(struct)
        for field in _fields(struct):
            expected[f"offsetof({name}, {field})"] = getattr(struct, field).offset
    assert evaluated(header, tmp_path, [*expected]) == expected


def test_numbers_are_the_headers(header: Path, tmp_path: Path) -> None:
    """Return codes, versions, enums and event types."""
    assert evaluated(header, tmp_path, [*NUMBERS]) == NUMBERS


def test_profile_enums_are_the_headers(header: Path, tmp_path: Path) -> None:
    """The table of models asks by the numbers that the names stand for."""
    profiles = known_models()["RTX PRO 6000 Blackwell Server Edition"].profiles
    expected = {
        f"NVML_GPU_INSTANCE_PROFILE_{ENUM_OF[profile.name]}": profile.enum for profile in profiles
    }
    assert evaluated(header, tmp_path, [*expected]) == expected


def test_prototypes_are_the_headers(header: Path) -> None:
    """Every function that is declared there has the same number and kinds of arguments here."""
    theirs = _declared(
        header.read_text(encoding="utf-8", errors="replace"), r"nvmlReturn_t DECLDIR"
    )
    ours = _declared(prototypes(), "int")
    known = {name for name in exports() if name in theirs}
    assert len(known) > 60
    for name in known:
        unclear = [one is anything for one in exports()[name].arguments]
        assert len(ours[name]) == len(theirs[name]), name
        for mine, other, skip in zip(ours[name], theirs[name], unclear, strict=True):
            assert skip or mine == other, name


def _fields(struct: Any) -> list[str]:
    return [field[0] for field in struct._fields_]


def _declared(text: str, returns: str) -> dict[str, list[str]]:
    """Functions and the kinds of their arguments."""
    found = re.findall(rf"^\s*{returns} (nvml\w+)\s*\(([^)]*)\)", text, re.MULTILINE)
    return {name: _kinds(arguments) for name, arguments in found}


def _kinds(arguments: str) -> list[str]:
    parts = [part.strip() for part in arguments.split(",")]
    return [] if parts == ["void"] else [_kind(part) for part in parts]


def _kind(argument: str) -> str:
    """How an argument travels: handles are pointers, enums are as wide as an int."""
    handles = (
        r"\b(nvmlDevice_t|nvmlGpuInstance_t|nvmlComputeInstance_t|nvmlEventSet_t|nvmlGpmSample_t)\b"
    )
    if "*" in argument or re.search(handles, argument):
        return "pointer"
    return "long long" if "long long" in argument else "int"
