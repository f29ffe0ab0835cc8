"""The page of ``jupyter mig top``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.cli.cells import width
from jupyter_mig.cli.terminal import Terminal
from jupyter_mig.cli.top.page import lines
from jupyter_mig.cli.top.picture import Picture
from jupyter_mig.wire.messages import ReadingsView, SliceReadingsView
from tests.cli.views import BROKER, GIB, gpu, instance, lease, node, size

MINE = lease("l1", "work/train.ipynb", uuid="MIG-1")
WAITS = lease("l2", "b.ipynb", "waiting", place=1)
PICTURE = Picture(
    BROKER,
    node(
        gpu(
            instance("2g.10gb", 0, 2, mine=True, lease_id="l1", instance_id="i1"),
            instance("3g.20gb", 4, 4, instance_id="i2"),
        ),
        sizes=(size("1g.5gb", 2, 7),),
        waiting=3,
    ),
    [MINE, WAITS],
    ReadingsView(
        0.1,
        simulated=True,
        slices=(
            SliceReadingsView("i1", 3 * GIB, 10 * GIB, utilization={"sm": 42.4, "graphics": 90}),
            SliceReadingsView("i2", memory_not_available="NVML says: GPU is lost"),
        ),
    ),
)


def test_the_page() -> None:
    """GPUs to scale, what each slice does, reasons where that is not known, who waits."""
    assert list(lines(PICTURE, Terminal(80))) == [
        "SIMULATED NVIDIA GPUs: no hardware is used",
        "simulated:x, broker pid 4711",
        "GPU 0  A100-SXM4-40GB, 40.0 GiB",
        "|# 2g.10gb #######|. free ..........|= 3g.20gb =========================|",
        "",
        "GPU  SIZE      IN USE        OF              BUSY  NOTEBOOK        STATE    HELD",
        "  0  2g.10gb  3.0 GiB  10.0 GiB  ###.......   42%  ../train.ipynb  bound  41 min",
        "  0  3g.20gb        -   5.0 GiB                 -                  held",
        "- not available: NVML says: GPU is lost",
        "b.ipynb waits for 1g.5gb: 1st in line",
        "2 requests of others waiting",
    ]


@given(st.integers(1, 200), st.booleans())
def test_no_line_is_wider_than_the_terminal(columns: int, utf8: bool) -> None:
    """However narrow it is, with UTF-8 and without; ASCII where there is none."""
    for line in list(lines(PICTURE, Terminal(columns, utf8=utf8)))[1:]:
        assert width(line) <= max(columns, 1)
        assert utf8 or line.isascii()


@pytest.mark.parametrize("colours", [True, False])
def test_colour_only_adds(colours: bool) -> None:
    """Without escape sequences the page says the same."""
    text = "\n".join(lines(PICTURE, Terminal(80, colours=colours)))
    assert ("\x1b[" in text) is colours


@pytest.mark.parametrize(
    ("reading", "shown", "reason"),
    [
        (SliceReadingsView("i1", 1, 2, utilization={"graphics": 7.0}), "7%", ""),
        (SliceReadingsView("i1", 1, 2, utilization={"dram": 7.0}), "-", ""),
        (SliceReadingsView("i1", 1, 2, utilization_not_available="ask DCGM"), "-", "ask DCGM"),
    ],
)
def test_how_busy_a_slice_is(reading: SliceReadingsView, shown: str, reason: str) -> None:
    """Multiprocessors, else the time something ran; else why not."""
    readings = ReadingsView(0.1, simulated=True, slices=(reading,))
    picture = Picture(BROKER, node(gpu(instance("2g.10gb", 0, 2, instance_id="i1"))), [], readings)
    page = list(lines(picture, Terminal(80)))
    assert shown in page[6].split()
    assert (f"- not available: BUSY: {reason}" in page) == bool(reason)


def test_an_empty_node_says_so() -> None:
    """No table of nothing."""
    empty = Picture(BROKER, node(gpu()), [], ReadingsView(0, simulated=True, slices=()))
    assert list(lines(empty, Terminal(80)))[-1] == "No slices."
