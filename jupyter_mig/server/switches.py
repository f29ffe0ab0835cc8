"""Changes of size: a new kernel on another slice for whoever used the old one.

A kernel that holds a slice gives it up for the new one: room is planned and kept before anything
stops, no moment needs two slices, and the old size comes back if the new one does not start. A
kernel that holds none goes on (or stays in line) unless the new one gets its slice at once.

The sessions are moved to the new kernel before the old one stops: Jupyter forgets sessions whose
kernel is not listed, and JupyterLab would close them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import msgspec
from jupyter_core.utils import ensure_async
from traitlets.config import LoggingConfigurable

from jupyter_mig.client import Client
from jupyter_mig.errors import (
    Cancelled,
    JupyterMigError,
    OutOfPatience,
    Refused,
    UnknownLease,
)
from jupyter_mig.kernels import pending
from jupyter_mig.kernels.refusals import StartRefused
from jupyter_mig.server.starts import MIGStarts
from jupyter_mig.server.targets import SizeRequest, Target, find
from jupyter_mig.wire.messages import LeaseView

PATIENCE_SECONDS = 50.0
"""How long the new kernel waits for the old one's slice to be empty. The room is kept more than
twice that long, so that there is time to go back.
"""

LONGEST_START_SECONDS = 90.0
"""When a start that does not end is given up: whatever it hangs on, it is not the slice."""

_USABLE = ("granted", "bound", "orphaned")
_UNDECIDED = "creating"
_KEPT_ARGUMENTS = ("cwd", "env", "extra_arguments")


class Switched(msgspec.Struct, frozen=True):
    """The kernel that took the old one's place."""

    kernel_id: str
    kernelspec: str
    size: str


class SwitchFailed(Exception):
    """The new kernel did not start, and the old size was started again as ``kernel_id``."""

    def __init__(self, error: JupyterMigError, kernel_id: str) -> None:
        super().__init__(str(error))
        self.error = error
        self.kernel_id = kernel_id


class Kernel(msgspec.Struct, frozen=True):
    """A kernel as it is before its size changes. ``arguments`` are those it was started with."""

    kernel_id: str
    kernelspec: str
    arguments: dict[str, Any]


class MIGSwitches(LoggingConfigurable):
    """The changes of size under way on a server, one at a time for each kernel."""

    parent: Any

    def __init__(self, client: Client, starts: MIGStarts, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._client = client
        self._starts = starts
        self._under_way: set[str] = set()
        self._tasks: set[asyncio.Task[Switched]] = set()

    async def switch(self, kernel_id: str, wish: SizeRequest) -> Switched:
        """Give the users of a kernel another one, of the size wished for, and wait until it runs.
        It goes on when the caller is cancelled.

        Raises what refused it: nothing has been stopped then. Raises :class:`SwitchFailed` if the
        new kernel did not start and the old size was started again, and why neither did if so.
        """
        if kernel_id not in self._manager:
            raise UnknownLease("There is no kernel of that id.")
        if kernel_id in self._under_way:
            raise Refused(
                "The size of this kernel is being changed already.",
                next_step="Wait until that is done.",
            )
        return await self._persistently(self._switch(kernel_id, wish), kernel_id)

    async def _persistently(
        self, change: Coroutine[Any, Any, Switched], kernel_id: str
    ) -> Switched:
        self._under_way.add(kernel_id)
        task = asyncio.ensure_future(change)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._done(task, kernel_id))
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Switched], kernel_id: str) -> None:
        self._tasks.discard(task)
        self._under_way.discard(kernel_id)
        if not task.cancelled() and task.exception() is not None:
            self.log.warning("Size of kernel %s not changed: %s", kernel_id, _one_line(task))

    async def _switch(self, kernel_id: str, wish: SizeRequest) -> Switched:
        old = self._kernel(kernel_id)
        specs = await ensure_async(self.parent.kernel_spec_manager.get_all_specs())
        target = find(specs, old.kernelspec, wish)
        lease = await self._held(kernel_id)
        if lease is None:
            new_id = await self._start_then_stop(old, target)
        else:
            new_id = await self._release_then_start(old, lease, target)
        self.log.info("Kernel %s was replaced by %s (%s)", kernel_id, new_id, target.size)
        return Switched(new_id, target.kernelspec, target.size)

    def _kernel(self, kernel_id: str) -> Kernel:
        kernel = self._manager.get_kernel(kernel_id)
        # The folder and, also after a notebook was renamed, its path. There is no public way.
        arguments = kernel._launch_args or {}  # noqa: SLF001
        kept = {name: arguments[name] for name in _KEPT_ARGUMENTS if name in arguments}
        return Kernel(kernel_id, kernel.kernel_name, kept)

    async def _held(self, kernel_id: str) -> LeaseView | None:
        """The lease with the slice that the kernel holds; None if it holds none."""
        leases = {lease.kernel_id: lease for lease in await self._client.leases()}
        lease = leases.get(kernel_id)
        if lease is not None and lease.state == _UNDECIDED:
            raise Refused(
                "The slice of this kernel is just being made.",
                next_step="Try again in a moment.",
            )
        return lease if lease is not None and lease.state in _USABLE else None

    # ---- the two ways

    async def _start_then_stop(self, old: Kernel, target: Target) -> str:
        """For a kernel without a slice: it is stopped once the other one has one."""
        new_id = await self._start(target.kernelspec, old, patience_seconds=0.0)
        try:
            await self._require_wanted(new_id)
        except JupyterMigError:
            await self._stop(new_id)
            raise
        await self._move(old.kernel_id, new_id)
        await self._stop(old.kernel_id)
        return new_id

    async def _release_then_start(self, old: Kernel, lease: LeaseView, target: Target) -> str:
        await self._client.resize(lease.lease_id, target.request)
        new_id = await self._replace(old.kernel_id, old, target.kernelspec, lease)
        self._starts.changing.add(new_id)
        failure = await self._failure(new_id)
        self._starts.changing.discard(new_id)
        if failure is not None:
            await self._go_back(new_id, old, lease, failure)
        await self._require_wanted(new_id)
        return new_id

    async def _go_back(
        self, new_id: str, old: Kernel, lease: LeaseView, cause: JupyterMigError
    ) -> None:
        """Start the old size again, in the room that is kept for it; raises, in any case."""
        back_id = await self._replace(new_id, old, old.kernelspec, lease)
        try:
            await self._require_wanted(back_id)
        except JupyterMigError as error:
            await self._stop(back_id)
            raise _in_vain(cause, lease.size, error) from error
        raise SwitchFailed(_restored(cause, lease.size), back_id)

    async def _replace(self, gone_id: str, old: Kernel, kernelspec: str, lease: LeaseView) -> str:
        new_id = await self._start(
            kernelspec, old, instead_of=lease.lease_id, patience_seconds=PATIENCE_SECONDS
        )
        await self._move(gone_id, new_id)
        await self._stop(gone_id)
        return new_id

    # ---- the steps

    @property
    def _manager(self) -> Any:
        return self.parent.kernel_manager

    async def _start(self, kernelspec: str, old: Kernel, **change: Any) -> str:
        """Begin to start a kernel in the old one's stead; it is listed at once. Jupyter lists it
        that soon with pending kernels alone, so it has them for this start.
        """
        manager = self._manager
        before = getattr(manager, "use_pending_kernels", False)
        manager.use_pending_kernels = True
        try:
            kernel_id = await ensure_async(
                manager.start_kernel(kernel_name=kernelspec, **old.arguments, **change)
            )
        finally:
            manager.use_pending_kernels = before
        return str(kernel_id)

    async def _failure(self, kernel_id: str) -> JupyterMigError | None:
        """Wait until the kernel runs, or was stopped (None), or why it does neither."""
        if kernel_id not in self._manager:
            return None
        kernel = self._manager.get_kernel(kernel_id)
        ready = kernel.ready
        await asyncio.wait({ready}, timeout=LONGEST_START_SECONDS)
        if not ready.done():
            return OutOfPatience(f"The kernel did not start in {LONGEST_START_SECONDS:.0f} s.")
        if ready.cancelled() or ready.exception() is None:
            return None
        pending.forget(kernel, kernel_id)  # ours has done so, unless it did not get that far
        return _reason(ready.exception())

    async def _require_wanted(self, kernel_id: str) -> None:
        """Raise why the kernel does not run, if it does not; above all if somebody stopped it."""
        failure = await self._failure(kernel_id)
        if failure is not None:
            raise failure
        if kernel_id not in self._manager or not _runs(self._manager.get_kernel(kernel_id)):
            raise Cancelled("The kernel was stopped before it had started.")

    async def _move(self, from_id: str, to_id: str) -> None:
        """Have all sessions of one kernel use the other."""
        sessions = self.parent.session_manager
        for session in await sessions.list_sessions():
            if session["kernel"]["id"] == from_id:
                await sessions.update_session(session["id"], kernel_id=to_id)

    async def _stop(self, kernel_id: str) -> None:
        """Shut the kernel down, unless it is gone."""
        if kernel_id in self._manager:
            with suppress(KeyError):  # it went by itself meanwhile
                await ensure_async(self._manager.shutdown_kernel(kernel_id))


def _one_line(task: asyncio.Task[Switched]) -> str:
    return " ".join(str(task.exception()).split())


def _runs(kernel: Any) -> bool:
    return not kernel.shutting_down and not kernel.ready.cancelled()


def _reason(error: BaseException) -> JupyterMigError:
    if isinstance(error, StartRefused):
        return error.error
    words = " ".join(str(error).split())
    return JupyterMigError("The kernel could not be started.", situation=words[:200])


def _restored(cause: JupyterMigError, size: str) -> JupyterMigError:
    return type(cause)(
        cause.message,
        situation=f"The kernel was started again with {size}; its variables are lost.",
        next_step=cause.next_step or "Pick another size.",
    )


def _in_vain(cause: JupyterMigError, size: str, error: JupyterMigError) -> JupyterMigError:
    return type(cause)(
        cause.message,
        situation=f"The old size {size} could not be started again either: {error.message}",
        next_step="Pick another kernel.",
    )
