"""Drain a GPU, and have it used again."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from jupyter_mig.cli.admin import asking
from jupyter_mig.cli.admin.asking import Verbs
from jupyter_mig.cli.measures import counted
from jupyter_mig.client.administrator import Administrator
from jupyter_mig.errors import BadRequest
from jupyter_mig.wire.administration import AnyLeaseView
from jupyter_mig.wire.messages import GpuView, NodeView

_LOOK_SECONDS = 1.0
_SHORTEST = 8
_ALL = "all"


def verbs(below: Verbs) -> None:
    """``drain`` and ``undrain``."""
    draining = asking.verb(below, "drain", "start nothing new on a GPU", drain)
    draining.add_argument(
        "--wait", action="store_true", help="end only when nobody has a slice there any more"
    )
    for verb in (draining, asking.verb(below, "undrain", "use a GPU again", undrain)):
        verb.add_argument("gpu", metavar="GPU", help="its index or UUID, or all")
        asking.with_reason(verb)


def drain(arguments: argparse.Namespace) -> int:
    """Drain it, and say what is left there."""

    async def question(administrator: Administrator) -> tuple[list[GpuView], list[AnyLeaseView]]:
        uuids = _meant(arguments.gpu, await administrator.node())
        gpus = [await administrator.drain(uuid, arguments.reason) for uuid in uuids]
        left = await _left(administrator, uuids)
        while left and arguments.wait:
            await asyncio.sleep(_LOOK_SECONDS)
            left = await _left(administrator, uuids)
        return gpus, left

    gpus, left = asking.ask(question)
    rest = f"{counted(len(left), 'slice')} still held there" if left else "nobody has a slice there"
    return asking.done(arguments, gpus, f"Draining {_named(gpus)}: {rest}.")


def undrain(arguments: argparse.Namespace) -> int:
    """Take that back."""

    async def question(administrator: Administrator) -> list[GpuView]:
        uuids = _meant(arguments.gpu, await administrator.node())
        return [await administrator.undrain(uuid, arguments.reason) for uuid in uuids]

    gpus = asking.ask(question)
    return asking.done(arguments, gpus, f"Used again: {_named(gpus)}.")


async def _left(administrator: Administrator, uuids: Sequence[str]) -> list[AnyLeaseView]:
    return [each for each in await administrator.all_leases() if each.gpu_uuid in uuids]


def _named(gpus: Sequence[GpuView]) -> str:
    return ", ".join(f"GPU {gpu.index} ({gpu.name})" for gpu in gpus)


def _meant(text: str, node: NodeView) -> list[str]:
    """The UUIDs of the GPUs that are meant."""
    if text == _ALL:
        return [gpu.uuid for gpu in node.gpus]
    found = [
        gpu.uuid
        for gpu in node.gpus
        if text in (str(gpu.index), gpu.uuid)
        or (len(text) >= _SHORTEST and gpu.uuid.startswith(text))
    ]
    if len(found) != 1:
        there = ", ".join(f"{gpu.index} ({gpu.uuid})" for gpu in node.gpus)
        raise BadRequest(f"No one GPU is called {text}.", situation=f"There are: {there}.")
    return found
