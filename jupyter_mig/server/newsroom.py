"""Tells what becomes of the slices of the server's kernels, over Jupyter's event bus."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
from tornado.ioloop import PeriodicCallback
from traitlets import Float
from traitlets.config import LoggingConfigurable

from jupyter_mig.client import Client
from jupyter_mig.errors import JupyterMigError, LeaseEnded, UnknownLease
from jupyter_mig.kernels.provisioner import MIGProvisioner
from jupyter_mig.kernels.refusals import StartRefused
from jupyter_mig.server import news
from jupyter_mig.server.news import Course, KernelNow, Moment
from jupyter_mig.server.overview import MIGOverview, OverviewView
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import ErrorBody, NodeView, ReadingsView, SliceReadingsView

SCHEMA = Path(__file__).parent / "schemas" / "slice.yaml"
SCHEMA_ID = "urn:jupyter-mig:slice:v1"

WAITING_WATCH_SECONDS = 2.0
"""How often to look while a kernel waits for its slice: its user waits too."""


class MIGNews(LoggingConfigurable):
    """Looks at the server's kernels and their slices, and tells what has happened. It asks the
    broker nothing when no kernel has or wants a slice.
    """

    idle_minutes = Float(
        30.0,
        help="""
        After how many minutes in which a kernel did not use its slice that is told; 0: never.
        Where a slice's utilization is measured that counts, else whether the kernel computes.
        """,
    ).tag(config=True)

    watch_seconds = Float(
        10.0,
        help="How often to look, in seconds; while a kernel waits for its slice, every two.",
    ).tag(config=True)

    parent: Any

    def __init__(self, client: Client, overview: MIGOverview, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._client = client
        self._overview = overview
        self._managers: dict[str, Any] = {}
        self._courses: dict[str, Course] = {}
        self._looked_at = float("-inf")

    def watch(self) -> None:
        """From now on tell."""
        self.parent.event_logger.register_event_schema(SCHEMA)
        often = min(WAITING_WATCH_SECONDS, self.watch_seconds)
        PeriodicCallback(self._tick, often * 1000).start()

    async def _tick(self) -> None:
        followed = self._followed()
        if not self._is_due(_now(followed)):
            return
        self._looked_at = time.monotonic()
        try:
            moment = await self._moment(followed)
        except JupyterMigError as error:
            self.log.debug("jupyter_mig: no news of slices: %s", error.message)
            return
        self._managers = followed
        told, self._courses = news.news(self._courses, moment, self.idle_minutes * 60)
        for item in told:
            event = msgspec.to_builtins(item)
            self.parent.event_logger.emit(schema_id=SCHEMA_ID, data=event)

    def _followed(self) -> dict[str, Any]:
        """The managers of kernels with our provisioner: those listed, and those that Jupyter has
        given up since we looked last.
        """
        manager = self.parent.kernel_manager
        listed = {each: manager.get_kernel(each) for each in manager.list_kernel_ids()}
        ours = {
            each: kernel
            for each, kernel in listed.items()
            if isinstance(kernel.provisioner, MIGProvisioner)
        }
        missed = self._managers.keys() & self._courses.keys() - listed.keys()
        died = {each: self._managers[each] for each in missed}
        return ours | {each: kernel for each, kernel in died.items() if kernel.provisioner.died}

    def _is_due(self, kernels: list[KernelNow]) -> bool:
        """Whether somebody waits, or did, or was refused, or it is time."""
        if time.monotonic() - self._looked_at >= self.watch_seconds:
            return True
        waited = any(course.waiting_since is not None for course in self._courses.values())
        return waited or any(kernel.waiting_since or kernel.failure for kernel in kernels)

    async def _moment(self, followed: dict[str, Any]) -> Moment:
        kernels = _now(followed)
        if not any(kernel.lease_id or kernel.waiting_since for kernel in kernels):
            return Moment(time.monotonic(), kernels)
        seen = await self._overview.now(min(WAITING_WATCH_SECONDS, self.watch_seconds))
        kernels = _now(followed)  # again: nobody lost what he had let go of before it was looked up
        return Moment(
            time.monotonic(),
            kernels,
            seen.leases,
            _by_lease(seen.node, seen.readings),
            await self._ended(kernels, seen),
            _problems(seen.node),
        )

    async def _ended(
        self, kernels: list[KernelNow], seen: OverviewView
    ) -> dict[str, ErrorBody | None]:
        """The leases that kernels go by, and did when we looked last, and that are over."""
        held = {lease.lease_id for lease in seen.leases if lease.state != "draining"}
        known = {course.lease.lease_id for course in self._courses.values() if course.lease}
        gone = {kernel.lease_id for kernel in kernels} & known - held
        return {lease_id: await self._reason(lease_id) for lease_id in gone}

    async def _reason(self, lease_id: str) -> ErrorBody | None:
        try:
            return (await self._client.lease(lease_id)).refusal
        except UnknownLease:
            return ErrorBody(LeaseEnded.kind, "The broker knows nothing of it any more.")


def _now(managers: dict[str, Any]) -> list[KernelNow]:
    return [
        KernelNow(
            kernel_id,
            kernel.provisioner.lease.lease_id if kernel.provisioner.lease is not None else "",
            kernel.provisioner.waiting_since,
            _idle_seconds(kernel),
            (kernel.provisioner.died and kernel.provisioner.taken) or _failure(kernel),
            kernel.provisioner.died,
            kernel.shutting_down,
        )
        for kernel_id, kernel in managers.items()
    ]


def _idle_seconds(kernel: Any) -> float | None:
    last = getattr(kernel, "last_activity", None)
    if last is None or getattr(kernel, "execution_state", "") == "busy":
        return None
    return float((datetime.now(timezone.utc) - last).total_seconds())


def _failure(kernel: Any) -> ErrorBody | None:
    ready = kernel.ready
    error = ready.exception() if ready.done() and not ready.cancelled() else None
    return codec.body_of(error.error) if isinstance(error, StartRefused) else None


def _by_lease(node: NodeView, readings: ReadingsView | None) -> dict[str, SliceReadingsView]:
    by_instance = {each.instance_id: each for each in readings.slices} if readings else {}
    return {
        instance.lease_id: by_instance[instance.instance_id]
        for gpu in node.gpus
        for instance in gpu.instances
        if instance.lease_id and instance.instance_id in by_instance
    }


def _problems(node: NodeView) -> dict[str, ErrorBody]:
    return {
        gpu.uuid: ErrorBody("gpu-lost", f"GPU {gpu.index}: {gpu.problem}.", "", gpu.next_step)
        for gpu in node.gpus
        if gpu.problem and not gpu.drained
    }
