"""The kernel provisioner: a local kernel on a MIG slice of its own.

Jupyter calls ``cleanup(restart=False)`` on some of the roads by which a kernel ends and on others
nothing at all (a failed start, five deaths in a row, a killed server). So nothing here is needed
to free a slice: the broker watches the processes. What is done here only makes it quicker:

- a lease is acquired where none is held, in ``pre_launch``, and kept over restarts;
- it is bound to the kernel's process as soon as that runs;
- it is released in ``cleanup(restart=False)``, when the kernel has died for good, and before any
  failure of a start is reported; never in ``kill`` or ``terminate``, which restarts call too.

As a server's default provisioner (``KernelProvisionerFactory.default_provisioner_name``) it also
starts kernels whose kernelspecs know nothing of us: on a slice of the administrator's default
size, or without a GPU.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

import msgspec
from jupyter_client.connect import KernelConnectionInfo
from traitlets import Bool, Float, TraitError, Unicode, default

from jupyter_mig.client import Client, Settings, affinity
from jupyter_mig.client.locks import locked
from jupyter_mig.errors import JupyterMigError, LeaseEnded, MalformedSpec, UnknownLease, UnknownSize
from jupyter_mig.kernels import choices, environment, pending, substitutes
from jupyter_mig.kernels.deaths import MortalProvisioner
from jupyter_mig.kernels.ports import HeldPorts
from jupyter_mig.kernels.refusals import StartRefused
from jupyter_mig.wire.messages import LeaseRequest, LeaseView

PATIENCE_SECONDS = 1800.0
"""Long enough to come back from lunch, short enough that no forgotten tab wakes up on a slice."""

BLOCKING_PATIENCE_SECONDS = 20.0
"""Where a start blocks its request: proxies give up after 30 to 60 s, and cells typed meanwhile
are lost."""

RESTART_PATIENCE_SECONDS = 10.0
"""Where a restart finds its lease over. Jupyter offers no way to give up a waiting restart."""

LISTENING_SECONDS = 1.0
"""No start is refused sooner after it was asked for, where kernels are pending. JupyterLab first
renames the new session, twice, and only then looks for reasons: a quicker one is shown to nobody.
"""

CHANGE = ("instead_of", "patience_seconds")
"""Arguments of a start that changes the size of a kernel: the lease whose parked room the new one
may use, and how long it waits for it.
"""

GIVE_UP_SECONDS = 5.0
"""How long ending a kernel waits for its cancelled start to have taken back its request."""


class MIGProvisioner(MortalProvisioner):
    """Starts a kernel as a local process on a MIG slice that is its own while it lives."""

    size = Unicode(
        help="""
        The size of slice: a profile (`1g.10gb`) or a requirement (`20gb+`: the smallest with
        that much memory). Usually set by the kernelspec.
        """,
    ).tag(config=True)

    default_size = Unicode(
        help="""
        The size for kernels whose kernelspec names none. Without it they are started without a
        GPU. Of use where this is the default provisioner. By default what the environment variable
        JUPYTER_MIG_DEFAULT_SIZE says, for programs that read no configuration.
        """,
    ).tag(config=True)

    patience_seconds = Float(
        allow_none=True,
        help="""
        How long a kernel waits in line for a slice, in seconds. 0 refuses at once when none is
        free; None waits for ever. By default half an hour, and 20 s on a server without pending
        kernels, where the request to start a kernel blocks.
        """,
    ).tag(config=True)

    near_gpu = Bool(
        default_value=True,
        help="""
        Whether the kernel may use the CPUs near its slice's GPU alone: those of the GPU's NUMA
        node that the server may use itself. Without it, all of the server's.
        """,
    ).tag(config=True)

    waiting_since: float | None = None
    """When the wait for a slice under way began, on the monotonic clock. None: no wait."""

    _start: asyncio.Task[Any] | None = None
    _wait: pending.Wait | None = None
    _attempts = 0
    _change: Mapping[str, Any] = MappingProxyType({})
    _began = 0.0
    _launched = False
    _sliced = True

    def __init__(self, **kwargs: Any) -> None:
        try:
            super().__init__(**kwargs)
        except TraitError as error:
            pending.forget(kwargs.get("parent"), kwargs.get("kernel_id", ""))
            raise StartRefused(_malformed(str(error))) from error
        self._ports = HeldPorts()
        self.settings = Settings.from_environment(os.environ)
        self.client = Client(self.settings)

    @default("default_size")
    def _size_from_environment(self) -> str:
        return os.environ.get("JUPYTER_MIG_DEFAULT_SIZE", "")

    @default("patience_seconds")
    def _default_patience(self) -> float:
        manager = getattr(self.parent, "parent", None)
        blocks = manager is not None and not self._is_pending()
        return BLOCKING_PATIENCE_SECONDS if blocks else PATIENCE_SECONDS

    def _is_pending(self) -> bool:
        """Whether the start is a background affair of a server, as with pending kernels."""
        return bool(getattr(getattr(self.parent, "parent", None), "use_pending_kernels", False))

    # ---- starting

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Get the slice, waiting for it if need be; the launch arguments, with it in ``env``.

        Those in :data:`CHANGE` hold for the first start alone. Raises :class:`StartRefused`,
        having let go of everything.
        """
        self._start = asyncio.current_task()
        self._began = time.monotonic()
        self._attempts += 1
        self._note_change(kwargs)
        try:
            return await self._prepare(kwargs)
        except BaseException as error:
            await self._fail(error)
            raise

    def _note_change(self, arguments: dict[str, Any]) -> None:
        """Take what is ours out of the arguments of a start. Jupyter repeats them in restarts."""
        ours = {name: arguments.pop(name) for name in CHANGE if name in arguments}
        self._change = ours if self._attempts == 1 else {}

    async def _prepare(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        self._ports.hold(self.parent)
        # First, so that a kernel stopped while it waits has the ports that stopping it talks to.
        prepared = await super().pre_launch(**kwargs)
        size = self._size_for(prepared["env"])
        self._sliced = bool(size)
        if size:
            with pending.waiting(self.parent, self.kernel_id) as self._wait:
                self.lease = await self._renewed() or await self._acquired(size, prepared["env"])
            prepared["env"] = await self._with_slice(prepared["env"], self.lease, size)
        elif environment.is_on_slice(prepared["env"]):
            prepared["env"] = environment.inherited(prepared["env"])
        else:
            prepared["env"] = environment.without_gpu(prepared["env"])
        return prepared

    def _size_for(self, variables: dict[str, str]) -> str:
        """The size to ask for. Empty: none, for a kernel that shares its parent's slice or shall
        have no GPU. (A notebook run from a notebook must not wait for its parent to end.)
        """
        if self.size:
            return str(self.size)
        if environment.is_on_slice(variables):
            return ""
        if not self.default_size and "kernel_provisioner" in self.kernel_spec.metadata:
            raise _malformed("metadata.kernel_provisioner.config.size is missing")
        return str(self.default_size)

    async def _renewed(self) -> LeaseView | None:
        """The lease we hold, told that its kernel starts again; None if it is over."""
        if self.lease is None:
            return None
        try:
            return await self.client.renew(self.lease.lease_id)
        except (LeaseEnded, UnknownLease) as error:
            self.log.warning("The slice of kernel %s is gone: %s", self.kernel_id, error.message)
            self.lease = None
            return None

    async def _acquired(self, size: str, variables: dict[str, str]) -> LeaseView:
        request = LeaseRequest(
            kernel_id=self.kernel_id,
            size=size,
            label=self._label(variables),
            **{"patience_seconds": self._patience(), **self._change},
        )
        self.waiting_since = time.monotonic()
        try:
            return await self.client.acquire(request, self._look)
        except UnknownSize:
            covering = await self._covering(request)
            if covering is None:
                raise
            return await self.client.acquire(covering, self._look)
        finally:
            self.waiting_since = None

    def _look(self, lease: LeaseView) -> None:
        if lease.state == "waiting" and self._wait is not None:
            self._wait.in_line()

    async def _covering(self, request: LeaseRequest) -> LeaseRequest | None:
        """The request for the smallest size that covers the one this node lacks, if one does."""
        offered = choices.allowed(await self.client.node())
        size = substitutes.smallest_covering(request.size, offered)
        if size is None:
            return None
        self.log.warning(
            "This node has no size %s: kernel %s gets %s, the smallest that covers it.",
            *(request.size, self.kernel_id, size),
        )
        label = f"{request.label} (asked for {request.size})".strip()
        return msgspec.structs.replace(request, size=size, label=label)

    def _label(self, variables: dict[str, str]) -> str:
        """The notebook's path, below the server's root if it is there."""
        path = variables.get("JPY_SESSION_NAME", "")
        root = getattr(getattr(self.parent, "parent", None), "root_dir", None)
        if root and PurePath(path).is_relative_to(root):
            return str(PurePath(path).relative_to(root))
        return path

    def _patience(self) -> float | None:
        if self._attempts == 1:
            return self.patience_seconds
        if self.patience_seconds is None:
            return RESTART_PATIENCE_SECONDS
        return min(self.patience_seconds, RESTART_PATIENCE_SECONDS)

    async def _with_slice(
        self, variables: dict[str, str], lease: LeaseView, size: str
    ) -> dict[str, str]:
        if lease.slice is None:
            raise _lost()
        return environment.with_slice(
            variables,
            lease.slice,
            lease_id=lease.lease_id,
            key=await self.client.key(lease.lease_id),
            instead_of=size if lease.size != size else "",
            socket=self.client.socket,
            simulated=self.settings.simulated,
        )

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the process and tie the lease to it.

        Raises :class:`StartRefused` if the lease is over by then; the process is gone again.
        """
        try:
            mine = self.lease.slice if self.lease else None
            cpus = affinity.near(mine if self.near_gpu else None, self.settings)
            with locked(mine) as files, affinity.inherited(cpus):
                inherited = (*kwargs.pop("pass_fds", ()), *files)
                # It awaits nothing.
                connection_info = await super().launch_kernel(cmd, pass_fds=inherited, **kwargs)
            if self._sliced:
                await self._bind()
        except BaseException as error:
            await self._stop_process()
            await self._fail(error)
            raise
        self._start = None
        self._launched = True
        return connection_info

    async def _bind(self) -> None:
        if self.lease is None or self.pid is None:
            raise _lost()
        self.lease = await self.client.bind(self.lease.lease_id, self.pid)

    async def _stop_process(self) -> None:
        await self.kill()
        await self.wait()

    # ---- failing

    async def _fail(self, error: BaseException) -> None:
        """Let go of everything after ``error``; raises what Jupyter shall show in its place."""
        pending.forget(self.parent, self.kernel_id)
        await self._release()
        if not self._launched:
            self._ports.let_go(self.parent)
        if isinstance(error, JupyterMigError):
            refusal = StartRefused(error)
            await self._until_somebody_listens()
            self._mark_dead(str(refusal))
            raise refusal from None

    async def _until_somebody_listens(self) -> None:
        if self._is_pending():
            await asyncio.sleep(self._began + LISTENING_SECONDS - time.monotonic())

    def _mark_dead(self, reason: str) -> None:
        """Jupyter does so when a front end connects; clients that only list kernels see it too."""
        if hasattr(self.parent, "reason"):
            self.parent.execution_state = "dead"
            self.parent.reason = reason

    # ---- ending

    async def shutdown_requested(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002
        """Give up a start that is still waiting."""
        await super().shutdown_requested(restart=restart)
        if not restart:
            await self._give_up_start()

    async def cleanup(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002
        """Release the slice unless the kernel is to start again. May be called more than once."""
        await super().cleanup(restart=restart)
        if not restart:
            self._ports.close()
            await self._give_up_start()
            await self._release()

    async def _give_up_start(self) -> None:
        """Cancel a start under way. As a cancellation Jupyter neither logs nor reports it."""
        start = self._start
        if start is not None and not start.done() and start is not asyncio.current_task():
            start.cancel()
            await asyncio.wait([start], timeout=GIVE_UP_SECONDS)

    # ---- moving to another server

    async def get_provisioner_info(self) -> dict[str, Any]:
        """The base's information and the lease."""
        lease = msgspec.to_builtins(self.lease) if self.lease is not None else None
        return {**await super().get_provisioner_info(), "jupyter_mig_lease": lease}

    async def load_provisioner_info(self, provisioner_info: dict[str, Any]) -> None:
        """The inverse of :meth:`get_provisioner_info`."""
        await super().load_provisioner_info(provisioner_info)
        lease = provisioner_info.get("jupyter_mig_lease")
        self.lease = msgspec.convert(lease, LeaseView) if lease is not None else None


def _lost() -> LeaseEnded:
    return LeaseEnded(
        "The slice was lost while the kernel started.",
        next_step="Start the kernel again.",
    )


def _malformed(problem: str) -> MalformedSpec:
    return MalformedSpec(
        "This kernelspec cannot be used: its GPU settings are wrong.",
        situation=problem.replace("'", "").replace('"', ""),
        next_step="Set metadata.kernel_provisioner.config to {size: 1g.10gb} or another size.",
    )
