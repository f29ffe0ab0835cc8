"""GPUs that others have come to manage while the broker runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.lookout import Lookout
from jupyter_mig.broker.memory.annals import Annals
from jupyter_mig.broker.service import Service
from jupyter_mig.core import events
from jupyter_mig.core.leases import Lease, LeaseState
from jupyter_mig.core.state import GpuState
from tests.broker.brokers import until
from tests.broker.households import Household, ask, changed_to, household

SLURM = "Slurm, /etc/slurm/gres.conf line 1"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Household]:
    """One simulated A100."""
    with household(tmp_path) as found:
        yield found


@pytest.fixture
def annals(tmp_path: Path) -> Iterator[Annals]:
    """A node's."""
    found = Annals(tmp_path / "annals.sqlite")
    yield found
    found.close()


class Files:
    """Who has which GPU, or what keeps one from knowing."""

    def __init__(self) -> None:
        self.tell: dict[str, str] | errors.DriverError = {}
        self.looks = 0

    def look(self) -> dict[str, str]:
        """What they tell now."""
        self.looks += 1
        if isinstance(self.tell, errors.DriverError):
            raise self.tell
        return dict(self.tell)

    async def seen(self) -> None:
        """Once they have been looked at from here on, and what was seen has been told."""
        now = self.looks

        async def again() -> bool:
            return self.looks > now + 1

        await until(again)


@asynccontextmanager
async def watched(service: Service, annals: Annals) -> AsyncIterator[Files]:
    """A lookout that never rests."""
    files = Files()
    looking = asyncio.ensure_future(Lookout(service, annals, files.look).keep_looking(0.001))
    try:
        yield files
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


def the_gpu(service: Service) -> GpuState:
    """The one there is."""
    (gpu,) = service.state.gpus.values()
    return gpu


async def asked(service: Service, kernel_id: str) -> Lease:
    """A request that may wait."""
    request = ask(kernel_id, "1g.5gb", patience_seconds=60)
    await service.post(events.SlicesRequested((request,)))
    lease = service.find(request.lease_id)
    assert lease is not None
    return lease


async def test_nothing_new_is_started_there_until_nobody_has_it(
    home: Household, annals: Annals
) -> None:
    """Who has a slice keeps it; who asks waits, and is given one when the GPU is ours again. The
    annals say who had it.
    """
    async with home.started() as service, watched(service, annals) as files:
        mine = await asked(service, "mine")
        await changed_to(service, mine, LeaseState.GRANTED)
        uuid = the_gpu(service).gpu.uuid
        files.tell = {uuid: SLURM}
        await files.seen()
        assert the_gpu(service).problem == f"managed by others now: {SLURM}"
        other = await asked(service, "other")
        await files.seen()
        assert (mine.state, other.state) == (LeaseState.GRANTED, LeaseState.WAITING)
        files.tell = {}
        await changed_to(service, other, LeaseState.GRANTED)
    annals.settle()
    told = [(each.what, each.gpu_uuid, each.reason) for each in annals.entries()]
    assert told == [("claimed", uuid, SLURM), ("unclaimed", uuid, SLURM)]


async def test_what_an_administrator_drained_stays_so(home: Household, annals: Annals) -> None:
    """Whoever else comes and goes."""
    async with home.started() as service, watched(service, annals) as files:
        uuid = the_gpu(service).gpu.uuid
        await service.post(events.GpuDrained(uuid, "upgrade"))
        for each in ({uuid: SLURM}, {}):
            files.tell = each
            await files.seen()
            assert service.state.drained == {uuid: "upgrade"}


async def test_what_cannot_be_known_changes_nothing(
    home: Household, annals: Annals, caplog: pytest.LogCaptureFixture
) -> None:
    """While the driver does not answer, say. It is told once, not each time."""
    async with home.started() as service, watched(service, annals) as files:
        uuid = the_gpu(service).gpu.uuid
        files.tell = {uuid: SLURM}
        await files.seen()
        files.tell = errors.DriverError("NVML is away")
        await files.seen()
        await files.seen()
        assert list(service.state.drained) == [uuid]
    told = [each.getMessage() for each in caplog.records if "is not known" in each.getMessage()]
    assert told == ["Whether others have the GPUs is not known: NVML is away"]


async def test_what_the_broker_before_saw_is_looked_at_again(
    home: Household, annals: Annals
) -> None:
    """It would not have started if the GPU were still somebody else's."""
    async with home.started() as service, watched(service, annals) as files:
        files.tell = {the_gpu(service).gpu.uuid: SLURM}
        await files.seen()
    async with home.started() as service:
        assert service.state.drained
        async with watched(service, annals):
            await changed_to(service, await asked(service, "k"), LeaseState.GRANTED)


async def test_it_can_be_left_to_the_start(home: Household, annals: Annals) -> None:
    """By an interval of 0."""
    async with home.started() as service:
        files = Files()
        await Lookout(service, annals, files.look).keep_looking(0)
        assert files.looks == 0
