"""The broker as a process of one user: started by the first client, gone when idle.

It may die at any point. Whoever needs it next starts another, which replays the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from logging.handlers import RotatingFileHandler
from pathlib import Path

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.claimants import search
from jupyter_mig.broker.claimants.disputes import concerns_user
from jupyter_mig.broker.claimants.search import Claim
from jupyter_mig.broker.door.door import Door
from jupyter_mig.broker.door.routes import OneUser
from jupyter_mig.broker.hardware.hints import Hints
from jupyter_mig.broker.hardware.inventory import AUTO, Inventories, parse
from jupyter_mig.broker.premises import Premises
from jupyter_mig.broker.running import Broker
from jupyter_mig.broker.seam import Seam, Uninterrupted
from jupyter_mig.broker.service import Service
from jupyter_mig.broker.settings import Settings
from jupyter_mig.core.rules import Rules
from jupyter_mig.nvml.driver import open_driver
from jupyter_mig.nvml.port import HardwarePort

log = logging.getLogger(__name__)


class Agent(msgspec.Struct, frozen=True):
    """What a broker is started with.

    ``inventory`` is the setting that says where slices come from, ``visible`` the lines of
    ``NAME=value`` with the variables that hint at what may be used.
    """

    place: Path
    driver: str
    inventory: str = AUTO
    visible: str = ""
    rules: Rules = Rules()
    settings: Settings = Settings()
    seam: Seam = Uninterrupted()

    def run(self) -> int:
        """Be the broker of this place until idle or told to end; the process's exit status.

        A place that is taken is no failure: its broker serves as well.
        """
        os.umask(0o077)
        premises = Premises(self.place)
        try:
            if not premises.enter():
                return 0
            with _diary(premises.diary):
                asyncio.run(self._serve(premises))
        except errors.JupyterMigError as error:
            log.error("The broker did not start: %s", error)  # noqa: TRY400 - the message says it all
            return 1 if premises.report(error) else os.EX_CANTCREAT
        finally:
            premises.leave()
        return 0

    async def _serve(self, premises: Premises) -> None:
        inventories = parse(self.inventory, Hints.read(self.visible))
        broker = Broker(
            premises,
            self._driver(premises),
            inventories,
            OneUser(os.getuid()),
            self.rules,
            self.settings,
            self.seam,
            claims=partial(_claims, inventories),
        )
        await broker.serve(lambda service, door: _until_idle(service, door, premises))

    def _driver(self, premises: Premises) -> HardwarePort:
        try:
            return open_driver(self.driver, premises.silicon)
        except OSError as error:  # a simulated node keeps its hardware in a file
            raise errors.UnwritableLog(
                f"The simulated hardware cannot be kept: {error.strerror}.",
                situation=f"Its file is {premises.silicon}.",
                next_step="Make room on that disk, or make it writable; then try again.",
            ) from error


def _claims(inventories: Inventories, driver: HardwarePort) -> list[Claim]:
    """Others' on GPUs that are to be cut."""
    if not inventories.may_cut(simulated=driver.simulated):
        return []
    found = search.search(search.root_of(driver.name))
    concerns = partial(concerns_user, inventories, simulated=driver.simulated)
    return search.claims(found, concerns, driver)


async def _until_idle(service: Service, door: Door, premises: Premises) -> None:
    """Return when there was nothing to do, and nobody there, for the whole of the idle time."""
    looks = 10
    idle_looks, visits = 0, door.visits
    while idle_looks < looks:
        await asyncio.sleep(service.settings.idle / looks)
        nobody = not door.open_connections and door.visits == visits
        # Logging out removes XDG_RUNTIME_DIR: nobody can reach us, nothing can be logged any more.
        # Then there is something to stay for only as long as a process lives that has a slice.
        shut_out = not (premises.socket.exists() or service.watches_anybody)
        idle_looks = idle_looks + 1 if nobody and (service.idle or shut_out) else 0
        visits = door.visits
    log.info("Idle for %s s: leaving", service.settings.idle)


@contextmanager
def _diary(path: Path) -> Iterator[None]:
    """Keep a log for people beside the socket."""
    # A full disk must not turn each line into a traceback.
    logging.raiseExceptions = False
    root = logging.getLogger()
    try:
        handler: logging.Handler = RotatingFileHandler(path, maxBytes=1_000_000, backupCount=3)
    except OSError:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
