"""All jobs of a batch at work: each waits for its slice, runs, and gives it back."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Protocol

import msgspec

from jupyter_mig import errors
from jupyter_mig.cli.batch.child import Child
from jupyter_mig.cli.batch.jobs import Job, Outcome, State
from jupyter_mig.cli.cells import printable
from jupyter_mig.cli.measures import counted, duration
from jupyter_mig.cli.program import label
from jupyter_mig.client import Client, Settings, affinity
from jupyter_mig.client.locks import locked
from jupyter_mig.kernels.environment import with_slice
from jupyter_mig.wire.messages import LeaseRequest, LeaseView

KILL_AFTER_SECONDS = 10.0
"""How long jobs that are told to end may take before they are killed."""

_REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Outlet(Protocol):
    """Where the jobs' output goes."""

    def opened(self, number: int) -> AbstractAsyncContextManager[tuple[int, int]]:
        """Open descriptors for the output and the errors of job ``number``."""


class Crew:
    """Runs a batch. ``interrupted_by`` is the signal that ended it, if one did."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        outlet: Outlet,
        *,
        keep_going: bool,
        near_gpu: bool = True,
    ) -> None:
        self.interrupted_by: signal.Signals | None = None
        self._client = client
        self._settings = settings
        self._outlet = outlet
        self._keep_going = keep_going
        self._near_gpu = near_gpu
        self._no_more = False
        self._waits: set[asyncio.Task[LeaseView]] = set()
        self._children: set[Child] = set()

    async def work(self, jobs: Sequence[Job]) -> list[Outcome]:
        """What became of each job, in their order.

        Raises what refuses one of them from the start (UnknownSize), before any is started.
        """
        batch = uuid.uuid4()
        requests = [_request(job, f"batch-{batch}-{job.number}") for job in jobs]
        leases = await self._client.request_all(requests)
        _require_possible(jobs, leases)
        waiting = sum(lease.state == "waiting" for lease in leases)
        _tell(f"{counted(len(jobs), 'job')}, {waiting} of them in line")
        with self._heeding_signals():
            tasks = [
                asyncio.create_task(self._do(job, lease))
                for job, lease in zip(jobs, leases, strict=True)
            ]
            try:
                return await asyncio.gather(*tasks)
            finally:
                self.end(signal.SIGTERM)
                await asyncio.gather(*tasks, return_exceptions=True)

    def start_no_more(self) -> None:
        """Take back what still waits; what runs goes on."""
        self._no_more = True
        for wait in self._waits:
            wait.cancel()

    def end(self, number: signal.Signals) -> None:
        """Take back what waits and pass the signal to what runs, which is killed if it stays."""
        self.start_no_more()
        self._signal(number)
        asyncio.get_running_loop().call_later(KILL_AFTER_SECONDS, self._signal, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children:
            child.signal(number)

    @contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        """Let signals end the batch, but for those that the parent has ignored (``nohup``)."""
        loop = asyncio.get_running_loop()
        heeded = [one for one in _REQUESTS if signal.getsignal(one) is not signal.SIG_IGN]
        for one in heeded:
            loop.add_signal_handler(one, self._interrupt, one)
        try:
            yield
        finally:
            for one in heeded:
                loop.remove_signal_handler(one)

    def _interrupt(self, number: signal.Signals) -> None:
        """The first time jobs may clean up, the second time they may not."""
        again = self.interrupted_by is not None
        self.interrupted_by = self.interrupted_by or number
        self.end(signal.SIGKILL if again else number)

    # -- one job

    async def _do(self, job: Job, asked: LeaseView) -> Outcome:
        outcome = await self._attempt(job, asked)
        _tell(f"job {job.number} {_ended(outcome)}")
        if outcome.state in ("failed", "refused") and not self._keep_going:
            self.start_no_more()
        return outcome

    async def _attempt(self, job: Job, asked: LeaseView) -> Outcome:
        asked_at = time.monotonic()
        outcome = Outcome(job.number, job.size, job.command, "not started")
        try:
            lease = await self._granted(asked)
            outcome = msgspec.structs.replace(outcome, waited_seconds=time.monotonic() - asked_at)
            return await self._run(job, lease, outcome)
        except asyncio.CancelledError:
            return outcome
        except errors.JupyterMigError as error:
            return msgspec.structs.replace(outcome, state="refused", problem=error.message)
        finally:
            await self._give_back(asked)

    async def _granted(self, asked: LeaseView) -> LeaseView:
        """The lease with its slice; cancelled if no more is to be started."""
        wait = asyncio.ensure_future(self._client.until_usable(asked))
        self._waits.add(wait)
        try:
            if self._no_more:
                wait.cancel()
            return await wait
        finally:
            self._waits.discard(wait)

    async def _run(self, job: Job, lease: LeaseView, outcome: Outcome) -> Outcome:
        if lease.slice is None:
            raise errors.LeaseEnded("The slice was lost before the job started.")
        environ = with_slice(
            os.environ,
            lease.slice,
            lease_id=lease.lease_id,
            key=await self._client.key(lease.lease_id),
            socket=self._client.socket,
            simulated=self._settings.simulated,
        )
        outcome = msgspec.structs.replace(outcome, size=lease.slice.profile)
        async with self._outlet.opened(job.number) as outlets:
            with locked(lease.slice) as files:
                child = await Child.start(job.command, environ, outlets, files)
            self._children.add(child)
            near = affinity.near(lease.slice if self._near_gpu else None, self._settings)
            affinity.restrict(child.pid, near)
            try:
                return await self._watch(child, lease, outcome)
            finally:
                child.call_off()
                self._children.discard(child)

    async def _watch(self, child: Child, lease: LeaseView, outcome: Outcome) -> Outcome:
        """Tie the slice to the job's process, let that run, and see it end."""
        await self._client.bind(lease.lease_id, child.pid)
        if self._no_more:
            child.call_off()
            await child.wait()
            return outcome
        started_at = time.monotonic()
        child.go()
        status = await child.wait()
        state: State = (
            "done" if status == 0 else "failed" if self.interrupted_by is None else "ended"
        )
        return msgspec.structs.replace(
            outcome, state=state, exit_status=status, ran_seconds=time.monotonic() - started_at
        )

    async def _give_back(self, lease: LeaseView) -> None:
        # Refused: it is over already. Unreachable: it hangs on processes that have ended, and the
        # next broker finds that out.
        with suppress(errors.JupyterMigError):
            await self._client.release(lease.lease_id)


def _request(job: Job, kernel_id: str) -> LeaseRequest:
    return LeaseRequest(
        kernel_id=kernel_id,
        size=job.size,
        label=printable(label(job.command)),
        patience_seconds=None,
    )


def _require_possible(jobs: Sequence[Job], leases: Sequence[LeaseView]) -> None:
    """Raise what refused the first that was refused. The others' leases go with this process."""
    for job, lease in zip(jobs, leases, strict=True):
        if lease.refusal is not None:
            refusal = lease.refusal
            words = f"Line {job.line}: {refusal.message}"
            raise errors.rebuild(refusal.kind, words, refusal.situation, refusal.next_step)


def _ended(outcome: Outcome) -> str:
    if outcome.exit_status is None:
        return f"was {outcome.state}" + (f": {outcome.problem}" if outcome.problem else "")
    return f"ended with {outcome.exit_status} after {duration(outcome.ran_seconds)}"


def _tell(text: str) -> None:
    print(f"jupyter mig: {text}", file=sys.stderr, flush=True)
