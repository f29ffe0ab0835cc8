"""Keeps the kernel picker's sizes those of the node."""

from __future__ import annotations

from typing import Any

from tornado.ioloop import IOLoop
from traitlets import Float
from traitlets.config import LoggingConfigurable

from jupyter_mig.client import Client
from jupyter_mig.errors import JupyterMigError
from jupyter_mig.kernels.picker import MIGPicker
from jupyter_mig.wire.messages import NodeView

SLOWEST_RETRY_SECONDS = 3600.0


class MIGSizes(LoggingConfigurable):
    """Asks for the node's sizes when the server starts, and again from time to time."""

    refresh_seconds = Float(
        600.0,
        help="""
        How often to ask whether the node's sizes have changed, in seconds. After a failure it is
        twice as long each time, up to an hour. (A broker nobody needs leaves; asking starts one.)
        """,
    ).tag(config=True)

    def __init__(self, client: Client, picker: MIGPicker, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._client = client
        self._picker = picker
        self._failures = 0
        self._said = ""

    async def start(self) -> None:
        """Begin. Sizes appear a moment after the server does."""
        try:
            self._picker.open()
        except OSError as error:
            self._say(f"no sizes in the kernel picker: {error}", problem=True)
            return
        await self._refresh()

    async def _refresh(self) -> None:
        try:
            self._offer(await self._client.node())
            self._failures = 0
        except (JupyterMigError, OSError) as error:
            # What is offered stays: the sizes of a node outlive a broker.
            self._failures += 1
            self._say(f"no news of the GPUs' sizes: {_one_line(error)}", problem=True)
        pause = min(self.refresh_seconds * 2.0**self._failures, SLOWEST_RETRY_SECONDS)
        IOLoop.current().call_later(pause, self._refresh)

    def _offer(self, node: NodeView) -> None:
        names = self._picker.offer(node)
        kind = "simulated " if node.simulated else ""
        if names:
            self._say(f"{len(names)} {kind}kernels with a GPU slice: {', '.join(names)}")
        else:
            self._say(f"no sizes in the kernel picker: {_problems(node)}", problem=True)

    def _say(self, text: str, *, problem: bool = False) -> None:
        """Log what has changed, once."""
        if text != self._said:
            (self.log.warning if problem else self.log.info)("jupyter_mig: %s", text)
        self._said = text


def _problems(node: NodeView) -> str:
    if node.allowance is not None and any(size.not_allowed for size in node.sizes):
        return f"{node.allowance.rule} allows none: {node.allowance.allows}."
    problems = [f"GPU {gpu.index}: {gpu.problem}" for gpu in node.gpus if gpu.problem]
    return "; ".join(problems) or "no GPU has a slice to offer. jupyter mig status shows them."


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
