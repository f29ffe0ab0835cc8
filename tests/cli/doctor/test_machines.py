"""``jupyter mig doctor`` on machines that are broken, each in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mig.cli.doctor.finding import Finding, Level
from jupyter_mig.cli.exits import Exit
from tests.cli.doctor.machines import MACHINES, Machine, findings, healthy
from tests.cli.doctor.manual import PAGE, SHARED_HEADING, shown
from tests.cli.doctor.shared_machines import SHARED_MACHINES

ROOT = Path(__file__).resolve().parents[3]
TITLES = {
    page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    for page in (ROOT / "docs").rglob("*.md")
}


@pytest.fixture(scope="module")
def sound() -> list[Finding]:
    """What the doctor says of a healthy machine."""
    with healthy() as mig:
        return findings(mig, code=Exit.DONE)


def test_nothing_is_wrong_with_a_healthy_machine(sound: list[Finding]) -> None:
    """All is in order but for what no machine like it can have, a boundary between users; nothing
    was started, and simulation is said first.
    """
    assert [one.about for one in sound if one.level is not Level.OK] == ["isolation"]
    with healthy() as mig:
        assert mig("doctor").stdout.startswith("SIMULATED NVIDIA GPUs: no hardware is used\n")
        assert not list(Path(mig.environ["XDG_RUNTIME_DIR"]).iterdir())
        said = mig("doctor", "--start").stdout
        assert "answers, version" in said
        assert "No problems found." in said


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.title)
def test_what_is_broken_is_found_and_its_fix_is_told(
    machine: Machine, sound: list[Finding]
) -> None:
    """The finding, its fix, an exit status that tells, and the same words in the manual."""
    code = Exit.FAILED if machine.level is Level.PROBLEM else Exit.DONE
    with machine.broken() as mig:
        found = findings(mig, code=code)
    (wrong,) = [one for one in found if one.about == machine.about and one.level is machine.level]
    assert machine.seen in wrong.seen
    assert machine.fix in wrong.fix
    assert {one.page for one in found if one.page} <= TITLES
    assert shown(machine, found, sound) in PAGE.read_text(encoding="utf-8"), (
        "the manual shows something else: python -m tests.cli.doctor.manual"
    )


def test_the_manual_shows_no_other_machines() -> None:
    """Each section is one of these machines."""
    text = PAGE.read_text(encoding="utf-8")
    assert [line.lstrip("# ") for line in text.splitlines() if line.startswith("##")] == [
        *(machine.title for machine in MACHINES),
        SHARED_HEADING.lstrip("# "),
        *(machine.title for machine in SHARED_MACHINES),
    ]
