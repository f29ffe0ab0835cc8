"""One thread per GPU: calls to one GPU run in the order they were given, others beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from jupyter_mig import errors
from jupyter_mig.core.events import AnyEvent

Job = Callable[[], AnyEvent | None]
Answered = Callable[[AnyEvent], None]


class Lane:
    """The thread of one GPU. Answers arrive on the loop in the order of the jobs."""

    def __init__(self, name: str, failed: Callable[[BaseException], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._failed = failed
        self._jobs: SimpleQueue[tuple[Job, Answered] | None] = SimpleQueue()
        self._stopping = False
        # A daemon: a driver call that hangs for ever must not keep the process.
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, job: Job, answered: Answered) -> None:
        """Do ``job`` after those given before; then call ``answered``, on the loop."""
        self._jobs.put((job, answered))

    def stop(self) -> None:
        """End after the job under way; those not begun are dropped."""
        self._stopping = True
        self._jobs.put(None)

    def join(self, timeout_seconds: float) -> None:
        """Wait for the job under way. Blocks."""
        self._thread.join(timeout_seconds)

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None and not self._stopping:
            job, answered = entry
            try:
                event = job()
            except BaseException as error:  # noqa: BLE001 - the loop must hear of whatever ends this thread
                self._loop.call_soon_threadsafe(self._failed, error)
                return
            if event is not None:
                self._loop.call_soon_threadsafe(answered, event)


class Lanes:
    """The lanes of all GPUs. ``failed`` hears of what a job must not raise."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._lanes: dict[str, Lane] = {}

    def put(self, gpu_uuid: str, job: Job, answered: Answered) -> None:
        """Do ``job`` in the lane of a GPU."""
        if gpu_uuid not in self._lanes:
            self._lanes[gpu_uuid] = Lane(f"gpu {gpu_uuid}", self._failed)
        self._lanes[gpu_uuid].put(job, answered)

    async def ask(self, gpu_uuid: str, call: Callable[[], None]) -> None:
        """Have something done in the lane of a GPU. Raises what of ours it raises."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def job() -> None:
            try:
                call()
            except errors.JupyterMigError as error:
                loop.call_soon_threadsafe(_settle, done, error)
            else:
                loop.call_soon_threadsafe(_settle, done, None)

        self.put(gpu_uuid, job, lambda _: None)
        await done

    async def stop(self, timeout_seconds: float) -> None:
        """End all lanes after what they are doing now, or after the time-out."""
        lanes, self._lanes = list(self._lanes.values()), {}
        for lane in lanes:
            lane.stop()
        await asyncio.gather(*(asyncio.to_thread(lane.join, timeout_seconds) for lane in lanes))


def _settle(done: asyncio.Future[None], error: errors.JupyterMigError | None) -> None:
    if done.done():  # whoever asked has gone
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
