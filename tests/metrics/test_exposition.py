"""What is read of a dcgm-exporter's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.metrics.exposition import FIELDS, percent_by_slice

TEXT = """\
# HELP DCGM_FI_DEV_SM_CLOCK SM clock frequency (in MHz).
# TYPE DCGM_FI_DEV_SM_CLOCK gauge
DCGM_FI_DEV_SM_CLOCK{gpu="0",UUID="GPU-a",device="nvidia0",GPU_I_ID="7"} 1410
# HELP DCGM_FI_PROF_GR_ENGINE_ACTIVE Ratio of time the graphics engine is active.
# TYPE DCGM_FI_PROF_GR_ENGINE_ACTIVE gauge
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-a",GPU_I_PROFILE="1g.5gb",GPU_I_ID="7",pod=""} 0.25
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-a",GPU_I_PROFILE="2g.10gb",GPU_I_ID="3"} 1.000000
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="GPU-b",device="nvidia1",Hostname="a \\"b\\", c}"} 0.5
DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{gpu="0",UUID="GPU-a",GPU_I_ID="7"} 1e-2 1700000000000
DCGM_FI_PROF_DRAM_ACTIVE{gpu="0",UUID="GPU-a",GPU_I_ID="7"} 0.125
DCGM_FI_PROF_PCIE_TX_BYTES{gpu="0",UUID="GPU-a",GPU_I_ID="7"} 12345
"""


def test_the_profiling_fields_are_read_by_gpu_and_instance() -> None:
    """In per cent; a row without an instance is the GPU's."""
    assert percent_by_slice(TEXT) == {
        ("GPU-a", 7): {"graphics": 25.0, "tensor": 1.0, "dram": 12.5},
        ("GPU-a", 3): {"graphics": 100.0},
        ("GPU-b", None): {"graphics": 50.0},
    }


def test_older_exporters_write_in_small_letters() -> None:
    """Names and labels."""
    line = 'dcgm_fi_prof_sm_active{gpu="0",uuid="GPU-a",GPU_I_ID="1"} 0.5'
    assert percent_by_slice(line) == {("GPU-a", 1): {"sm": 50.0}}


@pytest.mark.parametrize(
    "line",
    [
        'DCGM_FI_PROF_SM_ACTIVE{gpu="0",GPU_I_ID="1"} 0.5',
        'DCGM_FI_PROF_SM_ACTIVE{UUID="GPU-a",GPU_I_ID="one"} 0.5',
        'DCGM_FI_PROF_SM_ACTIVE{UUID="GPU-a",GPU_I_ID="1"} half',
        'DCGM_FI_PROF_SM_ACTIVE{UUID="GPU-a",GPU_I_ID="1"}',
        "DCGM_FI_PROF_SM_ACTIVE 0.5",
        'DCGM_FI_PROF_SM_ACTIVE{UUID="GPU-a"',
    ],
)
def test_what_cannot_be_read_is_passed_over(line: str) -> None:
    """It hides no other line."""
    assert percent_by_slice(f"{line}\n{TEXT}") == percent_by_slice(TEXT)


@given(st.text() | st.from_regex(r'DCGM_FI_PROF_SM_ACTIVE\{UUID="[^\n]*\} [0-9.eE+-]*'))
def test_no_text_is_an_error(text: str) -> None:
    """Whatever answers at that address, there is an answer: by names we know."""
    for percent in percent_by_slice(text).values():
        assert percent.keys() <= set(FIELDS.values())
