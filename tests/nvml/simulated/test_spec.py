from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.errors import UnknownDriver
from jupyter_mig.nvml import simulated

A100 = "A100-SXM4-40GB"


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("A30", ("A30",)),
        ("1xA30", ("A30",)),
        ("2xA100-SXM4-40GB", (A100, A100)),
        ("2xA100-SXM4-40GB,1xA30", (A100, A100, "A30")),
        ("A30, 2 x H100 80GB HBM3", ("A30", "H100 80GB HBM3", "H100 80GB HBM3")),
        (
            "RTX PRO 6000 Blackwell Server Edition,H200",
            ("RTX PRO 6000 Blackwell Server Edition", "H200"),
        ),
    ],
)
def test_gpus_are_counted_and_named_in_nvml_order(text: str, models: tuple[str, ...]) -> None:
    """A description lists GPUs in the order NVML will number them."""
    assert simulated.parse(text).models == models


def test_options_follow_a_question_mark() -> None:
    """Options after the GPUs set how the node treats this caller."""
    spec = simulated.parse("1xA30?time_scale=0.5&mig=off&privileged=off&monitor=on&driver=535")
    assert spec == simulated.NodeSpec(
        ("A30",), time_scale=0.5, mig=False, privileged=False, monitor=True, driver="535"
    )


def test_without_options_the_node_is_like_hardware_seen_by_root() -> None:
    """The defaults are real time, MIG on, privileges."""
    spec = simulated.parse("1xA30")
    assert (spec.time_scale, spec.mig, spec.privileged) == (1.0, True, True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a GPU model is missing"),
        ("1xA30,", "a GPU model is missing"),
        ("2x", "no simulated GPU called 2x"),
        ("0xA30", "no simulated GPU called 0xA30"),
        ("1xA31", "no simulated GPU called A31"),
        ("NVIDIA A30", "no simulated GPU called NVIDIA A30"),
        ("33xA30", "at most 32 GPUs, this one 33"),
        ("A30?speed=2", "there is no option speed"),
        ("A30?time_scale=-1", "time_scale is a number from 0 up, not -1"),
        ("A30?time_scale=nan", "time_scale is a number from 0 up, not nan"),
        ("A30?root=there", "root is the full path of a directory, not there"),
        ("A30?root=//", "root is the full path of a directory, not //"),
        ("A30?driver=536", "driver is one of 535, 575, 590, not 536"),
        ("A30,GB200?driver=535", "driver 535 is too old for GB200"),
        ("A30?mig=maybe", "mig is on or off, not maybe"),
        ("A30?mig", "mig is on or off, not "),
        ("A30?mig=on&mig=off", "do not read as name=value"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_known_models(text: str, reason: str) -> None:
    """The error says what is wrong, which models there are, and how to write it."""
    with pytest.raises(UnknownDriver) as refused:
        simulated.parse(text)
    assert reason in refused.value.message
    assert all(model in refused.value.situation for model in simulated.known_models())
    assert "time_scale" in refused.value.next_step


@given(st.lists(st.sampled_from(sorted(simulated.known_models())), min_size=1, max_size=12))
def test_the_text_of_a_spec_reads_back(models: list[str]) -> None:
    """Writing a node down and reading it gives the same GPUs."""
    spec = simulated.NodeSpec(tuple(models))
    assert simulated.parse(str(spec)).models == spec.models
