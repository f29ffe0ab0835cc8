"""The manual's page about the doctor: ``python -m tests.cli.doctor.manual`` writes it anew."""

from __future__ import annotations

from pathlib import Path

from jupyter_mig.cli.doctor import page
from jupyter_mig.cli.doctor.examination import Report
from jupyter_mig.cli.doctor.finding import Finding, Level
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.terminal import Terminal
from tests.cli.doctor.machines import MACHINES, Machine, findings, healthy

PAGE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "doctor.md"
_INTRODUCTION = """\
# Find out what is wrong

```sh
jupyter mig doctor
```

looks at the driver, each GPU, your rights, the device nodes, the broker, its directory and log, the
slices, kernelspecs, Jupyter Server's configuration, package versions and environment variables. It
changes nothing, needs no privilege, no driver and no broker, and starts none; with `--start` it has
a broker started first, which also tells of slices. Problems come first, each with what to do and
the page that explains it. The exit status is 1 if there are problems, 0 if not; `--json` prints the
findings as a list.

Below is what it says of machines that are broken in one way, without what it says of a healthy one.
All of them are simulated nodes; the output is the program's own, and a test keeps it true.
"""


def shown(machine: Machine, found: list[Finding], sound: list[Finding]) -> str:
    """The section of a machine: what is said of it and not of a healthy one."""
    said = tuple(one for one in found if one not in sound and one.level is not Level.OK)
    *lines, _ = page.lines(Report(simulated=False, findings=said), Terminal(88))
    return "\n".join((f"## {machine.title}", "", "```text", *lines, "```", ""))


def main() -> None:
    """Break all machines and write down what the doctor says."""
    with healthy() as mig:
        sound = findings(mig, code=Exit.DONE)
    sections = [_INTRODUCTION]
    for machine in MACHINES:
        with machine.broken() as mig:
            code = Exit.FAILED if machine.level is Level.PROBLEM else Exit.DONE
            sections.append(shown(machine, findings(mig, code=code), sound))
    PAGE.write_text("\n".join(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
