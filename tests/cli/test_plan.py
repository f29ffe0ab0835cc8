"""``jupyter mig plan``: the page, and the command against a simulated node of two GPUs."""

from __future__ import annotations

import json

import pytest

from jupyter_mig.cli import absent, plan
from jupyter_mig.cli.cells import width
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.terminal import Terminal
from jupyter_mig.client import Client
from jupyter_mig.errors import BadRequest
from jupyter_mig.nvml import simulated as simulation
from jupyter_mig.wire import meeting
from jupyter_mig.wire.messages import LeftOver, Outline, PlannedSlice, PlanView
from tests.cli.doctor.machines import place_of
from tests.cli.nodes import CommandLine, running, simulated
from tests.cli.views import gpu, instance


def outline(*left_over: LeftOver) -> Outline:
    """One 3g.20gb on one GPU."""
    card = gpu(instance("3g.20gb", 4, 4, state="planned", mine=True))
    placed = PlannedSlice("3g.20gb", "3g.20gb", "GPU-0", 0, 4)
    return Outline(not left_over, (placed,), left_over, (card,))


def test_the_page() -> None:
    """What fits now is drawn once; what does not is drawn with and without the others."""
    missing = outline(LeftOver("2g.10gb", "no room"), LeftOver("2g.10gb", "no room"))
    narrow = Terminal(66)
    card = "GPU 0  A100-SXM4-40GB, 40.0 GiB"
    fits = list(plan.lines(PlanView(outline(), outline()), narrow))
    assert fits[:2] == ["It fits now.", card]
    assert "+ 3g.20gb +" in fits[2]
    assert fits[3] == "+ planned   . free"
    later = list(plan.lines(PlanView(missing, outline()), narrow))
    assert later[:4] == [
        "It does not fit now.",
        "What fits of it: 1x3g.20gb",
        "Left over: 2x2g.10gb: no room",
        card,
    ]
    assert "With nobody on the node it fits." in later
    never = list(plan.lines(PlanView(missing, missing), narrow))
    assert never[0] == "Even with nobody on the node it does not fit, placed the largest first."
    assert len(never) < len(later)
    assert all(width(line) <= 80 for line in fits + later + never)


@pytest.mark.parametrize(
    ("texts", "sizes"),
    [
        (["1g.5gb"], ("1g.5gb",)),
        (["2x3g.20gb", "20gb+"], ("3g.20gb", "3g.20gb", "20gb+")),
        (["xlarge", "2xlarge"], ("xlarge", "large", "large")),
        (["0x1g.5gb", "1g.10gb"], ("1g.10gb",)),
    ],
)
def test_a_mix_is_written_with_counts(texts: list[str], sizes: tuple[str, ...]) -> None:
    """``2x`` before a size is two of it."""
    assert plan.mix(texts) == sizes


@pytest.mark.parametrize("texts", [["0x1g.5gb"], ["9999x1g.5gb"], ["100x1g.5gb", "29x1g.5gb"]])
def test_a_mix_has_a_sensible_size(texts: list[str]) -> None:
    """Neither nothing nor more than a request holds."""
    with pytest.raises(BadRequest):
        plan.mix(texts)


async def test_three_answers(mig: CommandLine, client: Client, full: None) -> None:
    """0 fits now, 3 fits when others have ended, 1 never; the plan itself takes nothing."""
    done = mig("plan", "2x3g.20gb", code=Exit.REFUSED)
    assert done.stdout.startswith("SIMULATED")
    assert "It does not fit now.\nWhat fits of it: nothing\n" in done.stdout
    mig("plan", "5x3g.20gb", code=Exit.FAILED)
    assert len(await client.leases()) == 2


async def test_json_is_what_the_broker_says(mig: CommandLine, client: Client) -> None:
    """Both outlines, whether it fits or not."""
    found = json.loads(mig("plan", "--json", "7g.40gb", "3g.20gb", "--gpu", "a100").stdout)
    assert [one["profile"] for one in found["now"]["slices"]] == ["7g.40gb", "3g.20gb"]
    assert found["empty"]["fits"]


def test_what_cannot_be_understood_is_usage(mig: CommandLine) -> None:
    """A size that this node does not have, with those that it has; a model that nobody knows."""
    assert "7g.40gb" in mig("plan", "9g.99gb", code=Exit.USAGE).stderr
    assert "A100" in mig("plan", "1g.5gb", "--gpu", "GTX", code=Exit.USAGE).stderr
    assert "4g.24gb" in mig("plan", "9g.99gb", "--gpu", "A30", code=Exit.USAGE).stderr


def test_a_model_that_is_not_here_is_planned_by_its_table(mig: CommandLine, full: None) -> None:
    """It is empty, whoever is on this node, and is said to be another model first of all."""
    done = mig("plan", "7x1g.18gb", "--gpu", "nvidia h200", COLUMNS="70")
    assert done.stdout.splitlines()[:4] == [
        "SIMULATED NVIDIA GPUs: no hardware is used",
        "A model this node does not have: one H200, by its profile table.",
        "It fits.",
        "GPU 0  NVIDIA H200, 140.4 GiB",
    ]
    mig("plan", "3x3g.71gb", "--gpu", "H200", code=Exit.FAILED)
    said = json.loads(mig("plan", "--json", "1g.18gb", "--gpu", "H200").stdout)
    assert (said["absent_model"], said["simulated"]) == ("H200", True)
    here = mig("plan", "--json", "1g.5gb", code=Exit.REFUSED)
    assert json.loads(here.stdout)["absent_model"] == ""


def test_a_model_is_planned_where_there_is_no_driver() -> None:
    """And nothing is left running."""
    with simulated() as mig:
        silicon = place_of(mig) / meeting.SILICON
        with simulation.installed("1xA100-SXM4-40GB", state=silicon) as node:
            node.remove_driver()
        mig("plan", "1g.6gb", code=Exit.UNUSABLE)
        assert "It fits." in mig("plan", "4x1g.6gb", "--gpu", "A30").stdout
        assert running(mig.environ["XDG_RUNTIME_DIR"]) == {}


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("a30", "A30"), ("NVIDIA B200", "B200"), ("nvl", ""), ("", ""), ("server", "RTX PRO 6000")],
)
def test_a_model_is_meant_by_its_name_or_a_part_that_only_it_has(wanted: str, name: str) -> None:
    """B200 is not GB200; what could be two is asked back."""
    if name:
        assert absent.model(wanted).startswith(name)
        return
    with pytest.raises(BadRequest, match="Several"):
        absent.model(wanted)
