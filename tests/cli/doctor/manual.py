"""The manual's page about the doctor: ``python -m tests.cli.doctor.manual`` writes it anew."""

from __future__ import annotations

from pathlib import Path

from jupyter_mig.cli.doctor import page
from jupyter_mig.cli.doctor.examination import Report
from jupyter_mig.cli.doctor.finding import Finding, Level
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.terminal import Terminal
from tests.broker.system.shared_node import BOB
from tests.cli.doctor import shared_machines
from tests.cli.doctor.machines import MACHINES, Machine, findings, healthy
from tests.cli.doctor.shared_machines import SHARED_MACHINES, SharedMachine

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


SHARED_HEADING = "# On a node with a broker for all users"
_WHOLE = """\
Nodes of GPUs that are handed out [whole](all-users.md#whole-gpus) it opens to read and write, as
CUDA does:

```text
ok       whole GPUs: a boundary: user 64302 tried 1 node of others' GPUs, and none
         opened; they are closed by owner and mode, and stay so
```

or what is wrong with them:

```text
problem  whole GPUs: a convention: user 64302 could open /dev/nvidia0 (user 64301, mode
         0666)
         sudo chmod o= /dev/nvidia0
         The broker closes them at its next look; its log says Changed, and if not, why.
         The manual: A broker for all users of a node
problem  whole GPUs: a convention: others than owner and broker are let in: /dev/nvidia0
         (user 64301, mode 0660)
         sudo chown :997 /dev/nvidia0
         sudo chmod o= /dev/nvidia0
         The manual: A broker for all users of a node
problem  whole GPUs: NVreg_ModifyDeviceFiles is 1: any user can have nvidia-modprobe open
         /dev/nvidiaN to all, so the broker hands no GPU out whole
         options nvidia NVreg_ModifyDeviceFiles=0 in /etc/modprobe.d, a udev rule that
         makes the nodes, and the driver loaded anew.
         The manual: A broker for all users of a node
```
"""

_SHARED = f"""\
#{SHARED_HEADING}

There it looks at the [broker](all-users.md)'s configuration, user, service, socket and answer as
well, and tries from the other side whether slices are closed: it opens the device nodes of slices
that are not the asker's, as an ordinary user would who wants them. Only if each is refused, and
modes, owners and `DeviceFileModify` say that it stays so, it speaks of a
[boundary](../explanation/boundary.md). As root it tries as `nobody`, and looks at the helper's
directory and register and for descriptors that were opened before. It does not run nvidia-modprobe,
which would change nodes, and what it could not try it says:

```text
%s
```

{_WHOLE}
With `JUPYTER_MIG_URL` set it asks that broker, too, and says whether the token is taken.

Below, Alice (user 64301) has a slice, and Bob (64302) asks unless it says otherwise.
"""


def isolated(found: list[Finding]) -> str:
    """What is said of isolation, and of what was not looked at, where all is well."""
    about = tuple(one for one in found if one.about in ("isolation", "helper"))
    *lines, _ = page.lines(Report(simulated=False, findings=about), Terminal(88))
    return "\n".join(lines)


def shown(machine: Machine | SharedMachine, found: list[Finding], sound: list[Finding]) -> str:
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
    with shared_machines.occupied() as node:
        calm = {uid: shared_machines.findings(node, uid) for uid in (BOB, shared_machines.ROOT)}
    sections.append(_SHARED % isolated(calm[BOB]))
    for wrong in SHARED_MACHINES:
        with wrong.broken() as node:
            said = shared_machines.findings(node, wrong.uid)
        sections.append(shown(wrong, said, calm[wrong.uid]).replace("## ", "### ", 1))
    PAGE.write_text("\n".join(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
