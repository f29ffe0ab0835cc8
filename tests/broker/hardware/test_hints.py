from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.broker.hardware.hints import CUDA, NVIDIA, ORDER, CudaDevice, Hints, Narrowed
from jupyter_mig.core.geometry import Identity

# GPU 0 is cut in two, GPU 1 is whole.
A, B, C = "MIG-aa", "MIG-bb", "GPU-11"
HERE = (
    CudaDevice(0, "GPU-00", Identity(7, 0, A)),
    CudaDevice(0, "GPU-00", Identity(9, 0, B)),
    CudaDevice(1, C, Identity.of_gpu(C)),
)
ALL = {A, B, C}
FOREIGN = "counts other devices"
CLOSED = "cannot be opened here"


def narrowed(name: str, value: str) -> tuple[set[str], str]:
    """The devices left and all that is said, by one variable."""
    left, notes = Hints.read(f"{name}={value}").narrow(HERE)
    return set(left), "; ".join(notes)


@pytest.mark.parametrize(
    ("name", "value", "left", "said"),
    [
        # names
        (CUDA, A, {A}, ""),
        (NVIDIA, f"{A},{C}", {A, C}, ""),
        (CUDA, "GPU-00", {A, B}, ""),
        (CUDA, "GPU-1", {C}, ""),
        (CUDA, "GPU-", set(), CLOSED),
        (CUDA, "MIG-GPU-00/9/0", {B}, ""),
        (CUDA, "MIG-GPU-00/1/0", set(), CLOSED),
        (CUDA, f"MIG-cc,{A}", {A}, CLOSED),
        (NVIDIA, "MIG-cc", set(), CLOSED),
        # numbers: CUDA counts devices, the runtime GPUs
        (CUDA, "0", {A}, ""),
        (NVIDIA, "0", {A, B}, ""),
        (CUDA, "2", {C}, ""),
        (CUDA, "1,-1,2", {B}, ""),
        (NVIDIA, "0:1", {B}, ""),
        (NVIDIA, "0:0, 1:0", {A, C}, ""),
        # numbers of another numbering
        (CUDA, "3", ALL, FOREIGN),
        (NVIDIA, "1,2", ALL, FOREIGN),
        (NVIDIA, "0:2", ALL, FOREIGN),
        (NVIDIA, f"5,{A}", {A}, FOREIGN),
        # words
        (NVIDIA, "all", ALL, ""),
        (CUDA, "all", ALL, ""),
        (NVIDIA, "void", ALL, ""),
        (NVIDIA, "", ALL, ""),
        (NVIDIA, "none", set(), "no device"),
        (CUDA, "", set(), "no device"),
        (CUDA, "-1", set(), "no device"),
        (CUDA, "NoDevFiles", set(), "no device"),
        # no names at all
        (NVIDIA, "/var/run/nvidia-container-devices", ALL, "is no device"),
        (NVIDIA, "nvidia.com/gpu=0", ALL, "is no device"),
    ],
)
def test_what_a_value_means(name: str, value: str, left: set[str], said: str) -> None:
    """UUIDs are strict, numbers hold in their own numbering, the rest tells nothing, aloud."""
    got, heard = narrowed(name, value)
    assert got == left
    assert said in heard
    assert bool(heard) == bool(said)


def test_nothing_set_narrows_nothing() -> None:
    """Absent is not empty."""
    assert Hints.read("").narrow(HERE) == Narrowed(frozenset(ALL), ())
    assert Hints.read("").given == ""
    assert Hints.read(f"{NVIDIA}=all\n{CUDA}=").given == CUDA


@pytest.mark.parametrize(
    ("lines", "aloud"),
    [
        (f"{CUDA}=0", True),
        (f"{CUDA}=0\n{ORDER}=FASTEST_FIRST", True),
        (f"{CUDA}=0\n{ORDER}=PCI_BUS_ID", False),
        (f"{CUDA}={A}", False),
        (f"{NVIDIA}=0", False),
        (f"{ORDER}=FASTEST_FIRST", False),
    ],
)
def test_where_gpus_differ_a_number_needs_an_order(lines: str, aloud: bool) -> None:
    """CUDA's own cannot be known: it is said what was assumed, and the order alone says nothing."""
    mixed = [device._replace(gpu_name=device.gpu_uuid) for device in HERE]
    left, notes = Hints.read(lines).narrow(mixed)
    assert any("PCI_BUS_ID" in note for note in notes) is aloud
    assert left == Hints.read(lines).narrow(HERE).uuids
    assert not any("PCI_BUS_ID" in note for note in Hints.read(lines).narrow(HERE).notes)


def test_two_variables_must_agree() -> None:
    """What one forbids the other does not allow."""
    assert Hints.read(f"{CUDA}={A},{C}\n{NVIDIA}={A},{B}").narrow(HERE).uuids == {A}


@given(st.sampled_from((CUDA, NVIDIA)), st.text() | st.from_regex(r"(GPU-|MIG-|\d|:|,)*"))
def test_whatever_it_says_it_never_widens(name: str, value: str) -> None:
    """No text makes reading fail, or gives a device that cannot be opened."""
    assert Hints({name: value}).narrow(HERE).uuids <= ALL
    assert Hints({name: value}).narrow(()).uuids == set()
