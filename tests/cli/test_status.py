"""The page of ``jupyter mig status``."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mig.cli.status import lines
from jupyter_mig.cli.terminal import Terminal
from tests.cli.views import BROKER, gpu, instance, node, size


def test_the_page() -> None:
    """Who answers, the GPUs to scale, what is free, who waits; simulation above everything."""
    view = node(
        gpu(
            instance("2g.10gb", 0, 2, mine=True, label="work/train.ipynb"),
            instance("3g.20gb", 4, 4),
        ),
        gpu(index=1, name="A30", units=4),
        sizes=(size("1g.5gb", 2, 7), size("2g.12gb", 12, 14)),
        waiting=2,
    )
    assert list(lines(BROKER, Path("/run/x/broker.sock"), view, Terminal(80))) == [
        "SIMULATED NVIDIA GPUs: no hardware is used",
        "simulated:x, broker pid 4711",
        "/run/x/broker.sock",
        "",
        "GPU 0  A100-SXM4-40GB, 40.0 GiB",
        "|# train 2g.10gb #|. free ..........|= 3g.20gb =========================|",
        "",
        "GPU 1  A30, 40.0 GiB",
        "|. free ................................................................|",
        "",
        "# yours   = others'   . free",
        "",
        "Free now: 1g.5gb   2 of 7   2g.12gb 12 of 14",
        "Waiting: 2 requests",
    ]


def test_real_hardware_is_not_called_simulated() -> None:
    """The word appears exactly when it is true."""
    view = node(gpu(), driver="nvml", simulated=False)
    assert "simulated" not in "\n".join(lines(BROKER, Path("/s"), view, Terminal())).lower()


def test_room_where_nothing_fits_is_not_called_free() -> None:
    """Seven 1g slices leave an A100 one memory slice that no profile can use."""
    seven = (instance("1g.5gb", start, 1) for start in range(7))
    page = "\n".join(
        lines(BROKER, Path("/s"), node(gpu(*seven), sizes=(size("1g.5gb", 0, 7),)), Terminal())
    )
    assert "|=1g.5gb=|        |" in page
    assert ". free" not in page


def test_a_gpu_that_cannot_be_used_says_why_and_what_to_do_within_the_terminal() -> None:
    """The reason and the remedy, wrapped; no bar, because there is nothing to draw."""
    broken = gpu(
        mode="unusable",
        units=0,
        problem="MIG mode is off; " + "turn it on " * 6,
        next_step="sudo nvidia-smi -i 0 -mig 1 " + "and wait " * 6,
    )
    page = list(lines(BROKER, Path("/s"), node(broken), Terminal(40)))
    assert "  cannot be used: MIG mode is off; turn" in page
    assert "  sudo nvidia-smi -i 0 -mig 1 and wait" in page
    assert all(len(line) <= 40 for line in page if not line.startswith("SIMULATED"))
    assert "No GPU here offers slices." in page


def test_a_slice_that_will_not_clear_names_its_suspects() -> None:
    """So that somebody can end them."""
    stuck = instance("1g.5gb", 0, 1, state="condemned", suspects=(12, 34))
    page = list(lines(BROKER, Path("/s"), node(gpu(stuck)), Terminal()))
    assert "  1g.5gb will not clear: in use by pid 12, 34; it is retried" in page


@pytest.mark.parametrize("mode", ["static", "dynamic"])
def test_a_gpu_without_slices_says_how_to_make_them(mode: str) -> None:
    """Where we may not: a static node, or a dynamic one whose placements we may not even know."""
    page = list(lines(BROKER, Path("/s"), node(gpu(mode=mode, units=0, index=3)), Terminal()))
    made = "  no slices; an administrator makes them: nvidia-smi mig -i 3 -cgi PROFILE -C"
    assert made in page


@pytest.mark.parametrize(
    ("inventory", "said"),
    [
        ("static", "slices as the administrator made them: MIG mode is on"),
        ("full", "handed out whole: MIG mode is on"),
        ("visible", "slices that can be opened here: MIG mode is on"),
        ("dynamic", "slices are made as they are wanted: MIG mode is on"),
        ("of a future version", ""),
    ],
)
def test_where_the_slices_come_from_is_said(inventory: str, said: str) -> None:
    """And why, under the name of the GPU; a word that we do not know is not explained."""
    idle = instance("1g.5gb", None, None, state="idle")
    view = gpu(idle, mode="static", units=0, inventory=inventory, why="MIG mode is on")
    page = list(lines(BROKER, Path("/s"), node(view, simulated=False), Terminal(80)))
    title = page.index("GPU 0  A100-SXM4-40GB, 40.0 GiB")
    bar = "|.1g.5gb.|" + " " * 62 + "|"
    assert page[title + 1 : page.index("", title)] == ([f"  {said}"] if said else []) + [bar]


def test_a_broker_that_names_no_inventory_has_a_mode() -> None:
    """Brokers did not always tell."""
    page = list(lines(BROKER, Path("/s"), node(gpu(mode="static", units=0)), Terminal(80)))
    assert "  slices as the administrator made them" in page


def test_what_a_person_should_know_of_a_gpu_is_said_within_the_terminal() -> None:
    """Each note wrapped, below the drawing; nobody is told to make slices that exist elsewhere."""
    notes = ("CUDA_VISIBLE_DEVICES says: no device", "Where slices lie is not available: " * 2)
    view = gpu(mode="static", units=0, inventory="visible", why="it is set", notes=notes)
    page = list(lines(BROKER, Path("/s"), node(view), Terminal(40)))
    text = " ".join(line.strip() for line in page)
    assert "no slices that can be opened here CUDA_VISIBLE_DEVICES says: no device Where" in text
    assert "-cgi" not in text
    assert all(len(line) <= 40 for line in page if not line.startswith("SIMULATED"))


def test_no_terminal_is_too_narrow() -> None:
    """Whatever is wrong, in every width: words may break, the program may not."""
    view = gpu(mode="unusable", problem="MIG mode is off", next_step="Turn it on.", notes=("n",))
    for columns in range(1, 30):
        assert list(lines(BROKER, Path("/s"), node(view), Terminal(columns)))
