"""GPUs that Slurm, a kubelet's plugin or NVIDIA's mig-manager manages here, and whether a broker is
to have one of them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import msgspec

from jupyter_mig.broker.claimants import disputes, search
from jupyter_mig.broker.claimants.search import Claim
from jupyter_mig.broker.hardware import inventory
from jupyter_mig.broker.system import configuration
from jupyter_mig.cli.doctor.finding import Finding, note, problem
from jupyter_mig.client import Settings
from jupyter_mig.client.settings import SYSTEM_VARIABLE
from jupyter_mig.core.geometry import Gpu
from jupyter_mig.errors import MalformedSpec
from jupyter_mig.nvml.examination import GpuExamined, Mig
from jupyter_mig.wire import meeting

_ABOUT = "other managers"
_PAGE = "A broker for all users of a node"


class ClaimFacts(msgspec.Struct, frozen=True):
    """Others' claims, and those of them that keep a broker from starting."""

    claims: tuple[Claim, ...] = ()
    in_the_way: tuple[Claim, ...] = ()


def look(
    root: Path | None, gpus: Sequence[GpuExamined], settings: Settings, environ: Mapping[str, str]
) -> ClaimFacts:
    """What files below a root tell of the GPUs that answer, and what they mean for the broker that
    is configured here.
    """
    claimants = search.search(root)
    found = [
        Claim(_gpu(gpu), claimant)
        for claimant in claimants
        for gpu in gpus
        if gpu.uuid and claimant.has(_gpu(gpu), _slices(gpu))
    ]
    counts = _judge(settings, environ)
    return ClaimFacts(tuple(found), tuple(claim for claim in found if counts(claim)))


def check(facts: ClaimFacts) -> Iterator[Finding]:
    """A broker that cannot start is broken; else it is good to know whose the GPUs are."""
    for one, of_one in groupby(facts.claims, key=lambda claim: claim.claimant):
        claims = list(of_one)
        gpus = ", ".join(str(claim.gpu.index) for claim in claims)
        if one.hidden:
            unknown = f"whether {one.name} manages GPU {gpus} you cannot see: {one.source}"
            yield note(_ABOUT, unknown, "Ask as root: sudo jupyter mig doctor", _PAGE)
            continue
        seen = f"{one.name} manages GPU {gpus}: {one.source}"
        if set(claims).isdisjoint(facts.in_the_way):
            yield note(_ABOUT, seen, "Leave them to it, or else: " + one.remedy, _PAGE)
        else:
            yield problem(_ABOUT, f"{seen}; the broker does not start", one.remedy, _PAGE)


def _judge(settings: Settings, environ: Mapping[str, str]) -> Callable[[Claim], bool]:
    """Which claims keep the broker of this node, or that of this user, from starting. One whose
    settings are wrong does not start for that reason.
    """
    try:
        return _concerns(settings, environ)
    except MalformedSpec:
        return lambda _: False


def _concerns(settings: Settings, environ: Mapping[str, str]) -> Callable[[Claim], bool]:
    if settings.system is not None:
        file = Path(environ.get(SYSTEM_VARIABLE) or meeting.SYSTEM_CONFIGURATION)
        return partial(disputes.concerns_node, configuration.read(file))
    inventories = inventory.parse(settings.inventory)
    return partial(disputes.concerns_user, inventories, simulated=settings.simulated)


def _gpu(found: GpuExamined) -> Gpu:
    on = found.mig is Mig.ON
    return Gpu(found.uuid, found.index, found.name, found.minor, memory_bytes=0, mig_enabled=on)


def _slices(found: GpuExamined) -> list[str]:
    return [one.identity.mig_uuid for one in found.instances if one.identity.mig_uuid]
