"""One sampler for all who look."""

from __future__ import annotations

import asyncio
from threading import Event

from jupyter_mig.core.geometry import Identity
from jupyter_mig.errors import GpuLost
from jupyter_mig.metrics.readings import Memory, NotAvailable
from jupyter_mig.metrics.sampler import FRESH_SECONDS, Sampler

INSTANCES = {"i1": Identity(1, 0, "MIG-1"), "i2": Identity(2, 0, "MIG-2")}


class Meter:
    """Counts what it is asked; answers once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = Event()
        self.may_answer.set()

    def memory(self, identity: Identity) -> tuple[int, int]:
        """The GI id as bytes used; instance 2 is on a GPU that fell off the bus."""
        self.asked += 1
        assert self.may_answer.wait(20)
        if identity.gi_id == 2:
            raise GpuLost("GPU is lost")
        return identity.gi_id, 100


async def test_values_and_reasons() -> None:
    """A slice that cannot be read says why, and hides no other; one being made says so."""
    readings, age = await Sampler(Meter()).readings(lambda: {**INSTANCES, "i3": None})
    assert {one.instance_id: one.memory for one in readings.slices} == {
        "i1": Memory(1, 100),
        "i2": NotAvailable("GPU is lost"),
        "i3": NotAvailable("it is being made"),
    }
    assert age >= 0


async def test_a_hundred_viewers_cost_one_pass() -> None:
    """All who ask while a pass is under way get its readings, and so do those right after."""
    meter = Meter()
    sampler = Sampler(meter, clock=lambda: 0.0)
    meter.may_answer.clear()
    asking = [asyncio.ensure_future(sampler.readings(lambda: INSTANCES)) for _ in range(100)]
    await asyncio.sleep(0)
    meter.may_answer.set()
    answers = await asyncio.gather(*asking)
    assert meter.asked == len(INSTANCES)
    assert all(readings is answers[0][0] for readings, _ in answers)


async def test_readings_are_taken_again_when_they_are_old() -> None:
    """And not before; of the instances that are there then."""
    meter, now = Meter(), [0.0]
    sampler = Sampler(meter, clock=lambda: now[0])
    for now[0], asked, age in ((0.0, 2, 0.0), (FRESH_SECONDS / 2, 2, FRESH_SECONDS / 2)):
        assert (await sampler.readings(lambda: INSTANCES))[1] == age
        assert meter.asked == asked
    now[0] = FRESH_SECONDS
    readings, age = await sampler.readings(dict)
    assert (readings.slices, age, meter.asked) == ((), 0.0, 2)


async def test_a_viewer_who_leaves_disturbs_no_other() -> None:
    """The next one gets readings, too."""
    meter = Meter()
    meter.may_answer.clear()
    sampler = Sampler(meter)
    leaving = asyncio.ensure_future(sampler.readings(lambda: INSTANCES))
    staying = asyncio.ensure_future(sampler.readings(lambda: INSTANCES))
    await asyncio.sleep(0)
    leaving.cancel()
    meter.may_answer.set()
    readings, _ = await staying
    assert len(readings.slices) == 2
