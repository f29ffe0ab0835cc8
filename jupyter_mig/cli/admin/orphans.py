"""Instances that the broker did not make: see them, have them handed out, have them destroyed."""

from __future__ import annotations

import argparse

from jupyter_mig.cli.admin import asking
from jupyter_mig.cli.admin.asking import Verbs
from jupyter_mig.cli.table import Column
from jupyter_mig.client.administrator import Administrator
from jupyter_mig.wire.administration import OrphanView

_COLUMNS = (
    Column("INSTANCE"),
    Column("STATE"),
    Column("PROFILE"),
    Column("GPU", right=True),
    Column("START", right=True),
    Column("MIG UUID", least=8),
)


def verbs(below: Verbs) -> None:
    """``orphans``, ``adopt`` and ``destroy``."""
    asking.verb(below, "orphans", "instances that the broker did not make", orphans)
    for verb in (
        asking.verb(below, "adopt", "hand one out, as it is, from now on", adopt),
        asking.verb(below, "destroy", "destroy one as soon as nobody is on it", destroy),
    ):
        verb.add_argument("instance", metavar="INSTANCE", help="see: jupyter mig admin orphans")
        asking.with_reason(verb)


def orphans(arguments: argparse.Namespace) -> int:
    """Print them."""
    nothing = "The broker made every instance on its GPUs."
    return asking.show(arguments, Administrator.orphans, _COLUMNS, _row, nothing)


def adopt(arguments: argparse.Namespace) -> int:
    """Adopt one."""
    orphan = asking.ask(lambda each: each.adopt(arguments.instance, arguments.reason))
    return asking.done(arguments, orphan, f"{_title(orphan)} is handed out from now on.")


def destroy(arguments: argparse.Namespace) -> int:
    """Have one destroyed."""
    orphan = asking.ask(lambda each: each.destroy(arguments.instance, arguments.reason))
    return asking.done(arguments, orphan, f"{_title(orphan)} goes as soon as nobody is on it.")


def _title(orphan: OrphanView) -> str:
    return f"{orphan.instance_id}, {orphan.profile} on GPU {orphan.gpu_index},"


def _row(orphan: OrphanView) -> list[str]:
    return [
        orphan.instance_id,
        orphan.state,
        orphan.profile,
        str(orphan.gpu_index),
        "-" if orphan.start is None else str(orphan.start),
        orphan.mig_uuid or "-",
    ]
