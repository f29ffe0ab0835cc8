"""``jupyter mig run`` that kills itself with SIGKILL at the moment named by its first argument."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from jupyter_mig.cli import run
from jupyter_mig.cli.main import main
from jupyter_mig.client import Client


def die(*_arguments: Any, **_more: Any) -> NoReturn:
    """End as nothing can prevent."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


def after(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, and then the end: its answer has come and nobody has seen it."""

    async def called(*arguments: Any, **more: Any) -> NoReturn:
        await call(*arguments, **more)
        die()

    return called


MOMENTS: Mapping[str, tuple[object, str, Callable[..., Any]]] = {
    "before the request": (Client, "request", die),
    "after the request": (Client, "request", after(Client.request)),
    "before the bind": (Client, "bind", die),
    "after the bind": (Client, "bind", after(Client.bind)),
    "before the command": (run, "become", die),
}

if __name__ == "__main__":
    setattr(*MOMENTS[sys.argv[1]])
    sys.exit(main(sys.argv[2:]))
