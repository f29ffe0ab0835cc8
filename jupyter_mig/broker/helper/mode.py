"""MIG mode, turned on where it is off, before anything else is done with a GPU."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from jupyter_mig import errors
from jupyter_mig.nvml.port import HardwarePort, Switch

log = logging.getLogger(__name__)


def turn_on(driver: HardwarePort, gpu_uuids: Iterable[str]) -> None:
    """Have it on, on as many of these GPUs as possible; the log says what became of each."""
    if isinstance(driver, Switch):
        for uuid in gpu_uuids:
            _turn_on(driver, uuid)


def _turn_on(driver: Switch, gpu_uuid: str) -> None:
    try:
        if driver.turn_mig_on(gpu_uuid):
            log.info("TurnMigOn gpu=%s", gpu_uuid)
    except errors.DriverError as error:
        log.warning("MIG mode was not turned on: gpu=%s: %s", gpu_uuid, error)
