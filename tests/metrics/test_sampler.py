"""One sampler for all who look."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from jupyter_mig.core.geometry import Identity
from jupyter_mig.errors import NoPermission
from jupyter_mig.metrics.exporter import Exporter
from jupyter_mig.metrics.readings import (
    GpuReadings,
    Memory,
    NotAvailable,
    SliceReadings,
    Utilization,
)
from jupyter_mig.metrics.sampler import FRESH_SECONDS, Sampler
from jupyter_mig.metrics.subjects import Slice
from jupyter_mig.metrics.windows import FIRST_LOOK
from tests.metrics.meters import LOST, WEDGED, WITHOUT_COUNTERS, Clock, Meter, leased, of

TWO = of(leased(1), leased(3))


async def test_values_and_reasons() -> None:
    """A slice that cannot be read says why, and hides no other; one being made says so."""
    being_made = Slice("i3", "GPU-1", None, "l3")
    readings, age = await Sampler(Meter()).readings(of(leased(1), leased(LOST), being_made))
    lost, made = NotAvailable("GPU is lost"), NotAvailable("it is being made")
    assert readings.slices == (
        SliceReadings("i1", "lease", Memory(1, 100), FIRST_LOOK, 2),
        SliceReadings("i2", "lease", lost, lost, lost),
        SliceReadings("i3", "l3", made, made, made),
    )
    assert readings.gpus == (GpuReadings("GPU-1", 100.0, 40.0),)
    assert age >= 0


async def test_a_second_look_tells_utilization() -> None:
    """It is the mean since the look before."""
    clock = Clock()
    sampler = Sampler(Meter(), clock=clock)
    await sampler.readings(TWO)
    clock.now += 2
    readings, _ = await sampler.readings(TWO)
    assert [one.utilization for one in readings.slices] == [
        Utilization({"sm": 50.0, "graphics": 60.0}, "GPM")
    ] * 2


async def test_nonsense_is_not_available() -> None:
    """More memory in use than there is, a board colder than any, power that is no number."""
    meter = Meter()
    meter.used, meter.watts, meter.celsius = 101, float("nan"), -273.0
    readings, _ = await Sampler(meter).readings(TWO)
    (gpu,) = readings.gpus
    odd = (readings.slices[0].memory, gpu.power_watts, gpu.temperature_celsius)
    assert all(isinstance(one, NotAvailable) and "nonsense" in one.reason for one in odd)
    assert readings.slices[0].processes == 2


async def test_a_gpu_without_counters_says_what_to_set() -> None:
    """Where no dcgm-exporter is configured."""
    readings, _ = await Sampler(Meter(WITHOUT_COUNTERS)).readings(TWO)
    utilization = readings.slices[0].utilization
    assert isinstance(utilization, NotAvailable)
    assert "JUPYTER_MIG_DCGM_EXPORTER" in utilization.reason
    assert readings.slices[0].memory == Memory(1, 100)


async def test_counters_that_are_kept_from_us_are_told_so() -> None:
    """Unless there is a dcgm-exporter to ask instead."""
    meter = Meter(NoPermission("NVML says: Insufficient Permissions"))
    (one,) = (await Sampler(meter).readings(of(leased())))[0].slices
    assert one.utilization == NotAvailable("NVML says: Insufficient Permissions")
    exporter = Exporter("nowhere")
    (one,) = (await Sampler(meter, exporter).readings(of(leased())))[0].slices
    assert isinstance(one.utilization, NotAvailable)
    assert "JUPYTER_MIG_DCGM_EXPORTER" in one.utilization.reason


async def test_a_whole_gpu_without_counters_has_the_drivers_number() -> None:
    """Without MIG there is one, unless that is nonsense."""
    meter, clock = Meter(WITHOUT_COUNTERS), Clock()
    whole = of(Slice("g", "GPU-1", Identity.of_gpu("GPU-1"), "lease", 10))
    sampler = Sampler(meter, clock=clock)
    (one,) = (await sampler.readings(whole))[0].slices
    assert one.utilization == Utilization({"graphics": 30.0}, "NVML")
    meter.busy, clock.now = 300.0, clock.now + 2
    (one,) = (await sampler.readings(whole))[0].slices
    assert one.utilization == NotAvailable("NVML answers nonsense: graphics 300")


async def test_an_exporter_that_does_not_answer_takes_nothing_down() -> None:
    """Its reason stands where utilization would; memory is there."""
    exporter = Exporter("http://127.0.0.1:9/metrics")
    (one,) = (await Sampler(Meter(WITHOUT_COUNTERS), exporter).readings(of(leased())))[0].slices
    assert isinstance(one.utilization, NotAvailable)
    assert one.utilization.reason.startswith("dcgm-exporter at http://127.0.0.1:9/metrics: ")
    assert one.memory == Memory(1, 100)


@pytest.mark.parametrize("viewers", [1, 100])
async def test_driver_calls_are_as_many_whoever_looks(viewers: int) -> None:
    """All who ask while a pass is under way get its readings, and so do those right after."""
    meter, clock = Meter(), Clock()
    sampler = Sampler(meter, clock=clock)
    for tick in range(3):
        clock.now += FRESH_SECONDS
        meter.may_answer.clear()
        asking = [asyncio.ensure_future(sampler.readings(TWO)) for _ in range(viewers)]
        await asyncio.sleep(0)
        meter.may_answer.set()
        answers = await asyncio.gather(*asking)
        assert all(readings is answers[0][0] for readings, _ in answers)
        assert meter.asked == (tick + 1) * (3 * 2 + 2)


async def test_readings_are_taken_again_when_they_are_old() -> None:
    """And not before; of the instances that are there then."""
    meter, clock = Meter(), Clock()
    sampler = Sampler(meter, clock=clock)
    first, _ = await sampler.readings(TWO)
    clock.now += FRESH_SECONDS / 2
    assert await sampler.readings(TWO) == (first, FRESH_SECONDS / 2)
    clock.now += FRESH_SECONDS / 2
    readings, age = await sampler.readings(TWO)
    assert readings is not first
    assert age == 0
    assert await sampler.readings(TWO, fresh_seconds=60) == (readings, 0)


async def test_the_next_tenant_gets_nothing_of_the_former() -> None:
    """However fresh it is: not its memory, not its counters, not its history."""
    meter, clock = Meter(), Clock()
    sampler = Sampler(meter, clock=clock)
    await sampler.readings(of(leased(lease_id="former")))
    clock.now += 0.4
    meter.used = 2
    readings, _ = await sampler.readings(of(leased(lease_id="next")))
    (one,) = readings.slices
    assert (one.lease_id, one.memory, one.utilization) == ("next", Memory(2, 100), FIRST_LOOK)
    assert sampler.history("former") == ()
    ((point, age),) = sampler.history("next")
    assert (point.memory_used_bytes, point.utilization_percent, age) == (2, None, 0)


async def test_slices_that_are_gone_leave_nothing_behind() -> None:
    """No counters stay allotted in the driver."""
    meter, clock = Meter(), Clock()
    sampler = Sampler(meter, clock=clock)
    for number in range(20):
        clock.now += FRESH_SECONDS
        await sampler.readings(of(leased(lease_id=f"l{number}")))
    assert len(meter.kept) == 1
    clock.now += FRESH_SECONDS
    await sampler.readings(of())
    assert meter.kept == {}


async def test_a_gpu_that_does_not_answer_keeps_nobody_waiting() -> None:
    """The others are told as ever; it is waited for once, and told again when it answers."""
    meter, clock = Meter(), Clock()
    sampler = Sampler(meter, clock=clock, patience=0.3)
    wedged = msgspec.structs.replace(leased(WEDGED), gpu_uuid="GPU-2")
    both = of(leased(1), wedged)
    silent = NotAvailable("the driver does not answer")

    async def told() -> list[Memory | NotAvailable]:
        clock.now += FRESH_SECONDS
        readings, _ = await sampler.readings(both)
        return [one.memory for one in readings.slices]

    assert await told() == [Memory(1, 100), silent]
    sampler._patience = 3600
    assert await asyncio.wait_for(told(), 60) == [Memory(1, 100), silent]
    meter.may_recover.set()
    await asyncio.wait_for(asyncio.shield(sampler._under_way["GPU-2"]), 20)
    assert await told() == [Memory(1, 100)] * 2


async def test_a_pass_that_nobody_waits_for_is_finished_alone() -> None:
    """The driver is never asked twice at a time."""
    meter = Meter()
    meter.may_answer.clear()
    sampler = Sampler(meter)
    leaving = asyncio.ensure_future(sampler.readings(TWO))
    await asyncio.to_thread(meter.was_asked.wait, 20)
    leaving.cancel()
    staying = asyncio.ensure_future(sampler.readings(TWO))
    await asyncio.sleep(0)
    meter.may_answer.set()
    await staying
    assert meter.asked == 3 * 2 + 2


async def test_a_viewer_who_leaves_disturbs_no_other() -> None:
    """The next one gets readings, too."""
    meter = Meter()
    meter.may_answer.clear()
    sampler = Sampler(meter)
    leaving = asyncio.ensure_future(sampler.readings(TWO))
    staying = asyncio.ensure_future(sampler.readings(TWO))
    await asyncio.sleep(0)
    leaving.cancel()
    meter.may_answer.set()
    readings, _ = await staying
    assert len(readings.slices) == 2
