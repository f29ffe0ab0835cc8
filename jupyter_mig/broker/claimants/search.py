"""All who manage GPUs of a node beside us, and what that means for the GPUs that we are to have."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from jupyter_mig import errors
from jupyter_mig.broker.claimants import kubelet, mig_manager, slurm
from jupyter_mig.broker.claimants.claimant import Claimant
from jupyter_mig.broker.words import plain
from jupyter_mig.core.geometry import Gpu
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.port import HardwarePort

log = logging.getLogger(__name__)

SYSTEM = Path("/")


class Claim(NamedTuple):
    """A GPU, and somebody who has it."""

    gpu: Gpu
    claimant: Claimant

    @property
    def who(self) -> str:
        """Who has it, and what file says so."""
        return f"{self.claimant.name}, {plain(self.claimant.source, 300)}"

    def __str__(self) -> str:
        return f"GPU {self.gpu.index} ({self.gpu.uuid}): {self.who}"


def root_of(driver: str) -> Path | None:
    """Where the files are that tell of claimants: a simulated node's own root, if it has one."""
    kind, _, node = driver.partition(":")
    if kind != "simulated":
        return SYSTEM
    root = simulated.parse(node).root
    return Path(root) if root else None


def search(root: Path | None, hostname: str = "") -> tuple[Claimant, ...]:
    """All claimants that the files below a root tell of, as far as this process may read them."""
    if root is None:
        return ()
    return (
        *slurm.claimants(root, hostname),
        *kubelet.claimants(root),
        *mig_manager.claimants(root),
    )


def claims(
    claimants: Sequence[Claimant], counts: Callable[[Claim], bool], driver: HardwarePort
) -> list[Claim]:
    """Those on the driver's GPUs that count. None while the driver does not answer: whatever is
    started then fails for that.
    """
    try:
        return claims_now(claimants, counts, driver)
    except errors.DriverError as error:
        log.warning("Whether others have the GPUs is not known: %s", error)
        return []


def claims_now(
    claimants: Sequence[Claimant], counts: Callable[[Claim], bool], driver: HardwarePort
) -> list[Claim]:
    """The same; raises DriverError if the driver does not answer."""
    if not claimants:
        return []
    found = (
        Claim(gpu, claimant)
        for gpu in driver.gpus()
        for slices in (_slices(driver, gpu),)
        for claimant in claimants
        if claimant.has(gpu, slices)
    )
    return [claim for claim in found if counts(claim)]


def _slices(driver: HardwarePort, gpu: Gpu) -> frozenset[str]:
    """The UUIDs of the MIG devices on it."""
    try:
        found = driver.instances(gpu.uuid)
    except errors.DriverError:
        return frozenset()  # nothing is handed out there before it answers
    return frozenset(one.identity.mig_uuid for one in found if one.identity.mig_uuid)


def require_none(found: Collection[Claim]) -> None:
    """Raise ClaimedElsewhere if there is any."""
    if not found:
        return
    names = ", ".join(dict.fromkeys(one.claimant.name for one in found))
    numbers = sorted({one.gpu.index for one in found})
    gpus = f"GPU {numbers[0]} is" if len(numbers) == 1 else f"{len(numbers)} GPUs are"
    raise errors.ClaimedElsewhere(
        f"{gpus} managed by {names} already.",
        situation="\n".join(dict.fromkeys(map(str, found))),
        next_step="\n".join(dict.fromkeys(one.claimant.remedy for one in found)),
    )
