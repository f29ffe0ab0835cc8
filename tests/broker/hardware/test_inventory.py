from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig import errors
from jupyter_mig.broker.hardware.hints import Hints
from jupyter_mig.broker.hardware.inventory import Inventory, parse
from jupyter_mig.core.geometry import Gpu


def gpu(index: int = 0, *, mig: bool = True) -> Gpu:
    """A GPU called GPU-N."""
    return Gpu(f"GPU-{index}", index, "A100", index, 40 * 2**30, mig)


def way(setting: str, one: Gpu, visible: str = "", *, simulated: bool = False) -> str:
    """The inventory of one GPU under a setting."""
    return parse(setting, Hints.read(visible)).of(one, simulated=simulated).inventory.value


@pytest.mark.parametrize(
    ("visible", "mig", "simulated", "expected"),
    [
        ("", True, True, "dynamic"),
        ("CUDA_VISIBLE_DEVICES=0", True, True, "dynamic"),
        ("", True, False, "static"),
        ("", False, False, "full"),
        ("CUDA_VISIBLE_DEVICES=", True, False, "visible"),
        ("NVIDIA_VISIBLE_DEVICES=all", False, False, "visible"),
    ],
)
def test_without_a_choice_it_is_what_a_person_expects(
    visible: str, mig: bool, simulated: bool, expected: str
) -> None:
    """Real hardware is never partitioned unasked; jobs and containers keep to what is theirs."""
    for setting in ("auto", "", "auto:0"):
        assert way(setting, gpu(mig=mig), visible, simulated=simulated) == expected


def test_gpus_go_different_ways_on_one_node() -> None:
    """By number or UUID; a word without GPUs is for the others, and nothing said is auto."""
    setting = "dynamic:0,GPU-3 full:1 static"
    ways = [way(setting, gpu(index)) for index in range(5)]
    assert ways == ["dynamic", "full", "static", "dynamic", "static"]
    assert way("dynamic:0", gpu(1, mig=False)) == "full"
    assert "JUPYTER_MIG_INVENTORY" in parse(setting).of(gpu(1), simulated=False).why


@pytest.mark.parametrize(
    "setting",
    [
        "fast",
        "dynamic:",
        "static full",
        "static:0 full:0",
        "full:1,1",
        "Dynamic",
        ":0",
        "static,full",
    ],
)
def test_what_cannot_be_meant_is_refused(setting: str) -> None:
    """With the words that there are, and the variable to correct."""
    with pytest.raises(errors.MalformedSpec) as caught:
        parse(setting)
    assert "dynamic, static, visible, full" in caught.value.situation
    assert "JUPYTER_MIG_INVENTORY" in caught.value.next_step


def test_real_gpus_are_partitioned_by_name_only() -> None:
    """``dynamic`` for all is for simulated nodes."""
    parse("dynamic").require_named(simulated=True)
    parse("dynamic:0 static").require_named(simulated=False)
    with pytest.raises(errors.MalformedSpec, match="must name the GPUs"):
        parse("dynamic").require_named(simulated=False)


@given(st.text())
def test_every_text_is_read_or_refused(setting: str) -> None:
    """Nothing a person can type is a bug, and what is read is one of the four ways."""
    try:
        ways = parse(setting)
    except errors.MalformedSpec:
        return
    assert isinstance(ways.of(gpu(), simulated=False).inventory, Inventory)
