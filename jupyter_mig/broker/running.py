"""What every broker's process does from the moment it may use its premises until it closes."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

import msgspec

from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.claimants.search import Claim, require_none
from jupyter_mig.broker.door.door import Door
from jupyter_mig.broker.door.routes import Local
from jupyter_mig.broker.hardware.hardware import Hardware
from jupyter_mig.broker.hardware.inventory import Inventories
from jupyter_mig.broker.holders.holders import require_pidfd
from jupyter_mig.broker.lookout import Look, Lookout
from jupyter_mig.broker.memory.annals import Annals
from jupyter_mig.broker.memory.forgetting import keep_short
from jupyter_mig.broker.memory.recovery import recover
from jupyter_mig.broker.memory.witness import Chronicler
from jupyter_mig.broker.policy import Policy
from jupyter_mig.broker.premises import Premises
from jupyter_mig.broker.processes import boot_id
from jupyter_mig.broker.remote.listening import Listening
from jupyter_mig.broker.seam import Seam, Uninterrupted
from jupyter_mig.broker.service import Service
from jupyter_mig.broker.settings import Settings
from jupyter_mig.broker.supervisor import Supervisor, Unsupervised
from jupyter_mig.core.rules import Rules
from jupyter_mig.nvml.port import HardwarePort

NO_RULES = Policy()

log = logging.getLogger(__name__)

Until = Callable[[Service, Door], Awaitable[None]]


class Broker(msgspec.Struct, frozen=True):
    """A broker that has all it needs. ``audience`` is whom it serves on its socket, ``remote``
    whom elsewhere. It does not start if others have ``claims`` on what ``driver`` drives, and goes
    on looking for them with ``look_out``. It closes ``driver``, and the ``annals`` if it is to
    write any.
    """

    premises: Premises
    driver: HardwarePort
    inventories: Inventories
    audience: Local
    rules: Rules = Rules()
    settings: Settings = Settings()
    seam: Seam = Uninterrupted()
    policy: Policy = NO_RULES
    annals: Annals | None = None
    remote: Listening | None = None
    supervisor: Supervisor = Unsupervised()
    claims: Callable[[HardwarePort], Collection[Claim]] = lambda _: ()
    look_out: Look | None = None

    async def serve(self, until: Until) -> None:
        """Serve until told to end by a signal, or ``until`` returns; raise what made it fail."""
        require_pidfd()
        _allow_many_files()
        async with self._service() as service:
            keys = Keys.kept_in(self.premises.keys)
            door = Door(service, self.driver, keys, self.audience, self.annals)
            told = _told_to_end()
            self._open(door)
            if self.remote is not None:
                door.open_remotely(self.remote)
            besides = [asyncio.ensure_future(self._keep_short())]
            besides.append(asyncio.ensure_future(self._keep_looking(service)))
            self.supervisor.ready()
            log.info("Open: driver=%s", self.driver.name)
            try:
                await _until_over(service, told, until(service, door))
            finally:
                log.info("Closing")
                for each in besides:
                    each.cancel()
                self.supervisor.stopping()
                self.premises.close_up()
                await door.close()

    async def _keep_short(self) -> None:
        if self.annals is not None:
            await keep_short(self.annals, self.settings.history_days)

    async def _keep_looking(self, service: Service) -> None:
        if self.look_out is not None:
            lookout = Lookout(service, self.annals, self.look_out)
            await lookout.keep_looking(self.settings.look_out)

    def _open(self, door: Door) -> None:
        if self.premises.door is None:
            door.open(self.premises.socket)
        else:
            door.open_at(self.premises.door)

    @asynccontextmanager
    async def _service(self) -> AsyncIterator[Service]:
        """The service, started; and stopped in good order."""
        try:
            self.inventories.require_named(simulated=self.driver.simulated)
            require_none(await asyncio.to_thread(self.claims, self.driver))
            recovered = recover(self.premises.events, self.rules, boot_id(), self.seam)
            hardware = Hardware(
                self.driver,
                self.seam,
                self.inventories,
                offers_unknown=not recovered.log.predecessor,
            )
            witness = None if self.annals is None else Chronicler(self.annals)
            service = Service(
                recovered,
                hardware,
                self.settings,
                witness=witness,
                policy=self.policy,
                supervisor=self.supervisor,
            )
            try:
                await service.start()
                yield service
            finally:
                await service.stop()
        finally:
            self.driver.close()
            if self.annals is not None:
                self.annals.close()


def _told_to_end() -> asyncio.Event:
    """Set by a signal from now on, so that the broker ends in good order."""
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


async def _until_over(service: Service, told: asyncio.Event, until: Awaitable[None]) -> None:
    """Return when told to end, or at the end of ``until``; raise what made the service fail."""
    endings = (asyncio.ensure_future(told.wait()), asyncio.ensure_future(until))
    try:
        await asyncio.wait((*endings, service.failed), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for ending in endings:
            ending.cancel()
    if service.failed.done():
        await service.failed


def _allow_many_files() -> None:
    """A connection and a pidfd for each of a thousand kernels are more than the usual limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
