"""Have the broker let go of the driver, for an upgrade or a reset, and open it again."""

from __future__ import annotations

import argparse
import asyncio

from jupyter_mig.cli.admin import asking
from jupyter_mig.cli.admin.asking import Verbs
from jupyter_mig.client.administrator import Administrator
from jupyter_mig.errors import Refused
from jupyter_mig.wire.administration import DriverView

_LOOK_SECONDS = 1.0


def verbs(below: Verbs) -> None:
    """``release-driver``."""
    words = "drain all GPUs, wait until they are empty, and close the driver"
    verb = asking.verb(below, "release-driver", words, run)
    verb.add_argument("--resume", action="store_true", help="open it again, and undrain all GPUs")
    asking.with_reason(verb)


def run(arguments: argparse.Namespace) -> int:
    """Let go, or resume."""
    if arguments.resume:
        view = asking.ask(lambda each: _resume(each, arguments.reason))
        return asking.done(arguments, view, "The driver is open, and all GPUs are used again.")
    view = asking.ask(lambda each: _release(each, arguments.reason))
    return asking.done(arguments, view, "The broker has let go of the driver.")


async def _release(administrator: Administrator, reason: str) -> DriverView:
    for gpu in (await administrator.node()).gpus:
        await administrator.drain(gpu.uuid, reason)
    while True:
        try:
            return await administrator.release_driver(reason)
        except Refused as refused:
            if refused.kind != Refused.kind:  # not an administrator, say
                raise
        await asyncio.sleep(_LOOK_SECONDS)


async def _resume(administrator: Administrator, reason: str) -> DriverView:
    view = await administrator.take_up_driver(reason)
    for gpu in (await administrator.node()).gpus:
        await administrator.undrain(gpu.uuid, reason)
    return view
