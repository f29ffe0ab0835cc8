"""Drain a GPU, and have it used again."""

from __future__ import annotations

import argparse
import asyncio

from jupyter_mig.cli.admin import asking
from jupyter_mig.cli.admin.asking import Verbs
from jupyter_mig.cli.measures import counted
from jupyter_mig.client.administrator import Administrator
from jupyter_mig.errors import BadRequest
from jupyter_mig.wire.administration import AnyLeaseView
from jupyter_mig.wire.messages import GpuView, NodeView

_LOOK_SECONDS = 1.0
_SHORTEST = 8


def verbs(below: Verbs) -> None:
    """``drain`` and ``undrain``."""
    draining = asking.verb(below, "drain", "start nothing new on a GPU", drain)
    draining.add_argument(
        "--wait", action="store_true", help="end only when nobody has a slice there any more"
    )
    for verb in (draining, asking.verb(below, "undrain", "use a GPU again", undrain)):
        verb.add_argument("gpu", metavar="GPU", help="its index or UUID; see: jupyter mig status")
        asking.with_reason(verb)


def drain(arguments: argparse.Namespace) -> int:
    """Drain it, and say what is left there."""

    async def question(administrator: Administrator) -> tuple[GpuView, list[AnyLeaseView]]:
        uuid = _find(arguments.gpu, await administrator.node())
        await administrator.drain(uuid, arguments.reason)
        left = await _left(administrator, uuid)
        while left and arguments.wait:
            await asyncio.sleep(_LOOK_SECONDS)
            left = await _left(administrator, uuid)
        return _gpu(await administrator.node(), uuid), left

    gpu, left = asking.ask(question)
    rest = f"; {counted(len(left), 'slice')} still held there" if left else "; it is empty"
    return asking.done(arguments, gpu, f"Draining GPU {gpu.index} ({gpu.name}){rest}.")


def undrain(arguments: argparse.Namespace) -> int:
    """Take that back."""

    async def question(administrator: Administrator) -> GpuView:
        uuid = _find(arguments.gpu, await administrator.node())
        return await administrator.undrain(uuid, arguments.reason)

    gpu = asking.ask(question)
    return asking.done(arguments, gpu, f"GPU {gpu.index} ({gpu.name}) is used again.")


async def _left(administrator: Administrator, uuid: str) -> list[AnyLeaseView]:
    return [each for each in await administrator.all_leases() if each.gpu_uuid == uuid]


def _gpu(node: NodeView, uuid: str) -> GpuView:
    return next(gpu for gpu in node.gpus if gpu.uuid == uuid)


def _find(text: str, node: NodeView) -> str:
    """The UUID of the GPU that is meant."""
    found = [
        gpu.uuid
        for gpu in node.gpus
        if text in (str(gpu.index), gpu.uuid)
        or (len(text) >= _SHORTEST and gpu.uuid.startswith(text))
    ]
    if len(found) != 1:
        there = ", ".join(f"{gpu.index} ({gpu.uuid})" for gpu in node.gpus)
        raise BadRequest(f"No one GPU is called {text}.", situation=f"There are: {there}.")
    return found[0]
