"""What the driver makes of instances that will not go, and of work at the same time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Lock
from typing import Any

import pynvml
import pytest

from jupyter_mig import errors
from jupyter_mig.core.geometry import Identity
from jupyter_mig.nvml import simulated
from tests.nvml.nodes import Install, on_call, spec_of

CREATE_GI = "nvmlDeviceCreateGpuInstanceWithPlacement"


def test_a_moment_of_in_use_is_waited_out(install: Install) -> None:
    """In Use just after the compute instance went does not keep the GPU instance."""
    driver, node = install()
    gpu = driver.gpus()[0]
    identity = driver.create(spec_of(gpu))
    node.inject(simulated.in_use(times=3))
    driver.destroy(gpu.uuid, identity)
    assert node.gpus[0].instances == ()
    assert node.faults == ()


def test_in_use_for_good_is_an_error_and_leaves_the_gpu_instance(install: Install) -> None:
    """Destroy may half-succeed: the compute instance is gone, which observation shows."""
    driver, node = install(patience=0)
    gpu = driver.gpus()[0]
    identity = driver.create(spec_of(gpu))
    node.inject(simulated.in_use(times=None))
    with pytest.raises(errors.InUse, match="NVML lists on it: no process"):
        driver.destroy(gpu.uuid, identity)
    (left,) = driver.instances(gpu.uuid)
    assert left.identity == Identity(identity.gi_id)
    node.clear_faults()
    driver.destroy(gpu.uuid, identity)
    assert driver.instances(gpu.uuid) == ()


def test_a_client_keeps_its_instance_until_it_leaves(install: Install) -> None:
    """The error names the process; once that is gone the instance goes."""
    driver, node = install(patience=0)
    gpu = driver.gpus()[0]
    identity = driver.create(spec_of(gpu))
    assert identity.mig_uuid is not None
    with node.cuda_client(identity.mig_uuid):
        assert driver.occupants(gpu.uuid, identity) == (os.getpid(),)
        assert driver.instances(gpu.uuid)[0].occupants == (os.getpid(),)
        with pytest.raises(errors.InUse, match=f"NVML lists on it: {os.getpid()}"):
            driver.destroy(gpu.uuid, identity)
        assert driver.instances(gpu.uuid)[0].identity == identity
    driver.destroy(gpu.uuid, identity)
    assert driver.instances(gpu.uuid) == ()


def test_a_destroy_that_waits_ends_when_the_client_leaves(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience pays without anybody asking again."""
    driver, node = install()
    gpu = driver.gpus()[0]
    identity = driver.create(spec_of(gpu))
    tried = Event()
    on_call(monkeypatch, "nvmlComputeInstanceDestroy", tried.set)
    with ThreadPoolExecutor(1) as pool:
        client = node.cuda_client(identity.mig_uuid or "")
        destroyed = pool.submit(driver.destroy, gpu.uuid, identity)
        assert tried.wait(30)
        client.release()
        destroyed.result(timeout=30)
    assert driver.instances(gpu.uuid) == ()


def test_a_waiting_destroy_keeps_nobody_from_the_gpu(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one instance will not go, another can be made; closing ends the wait."""
    driver, node = install(patience=3600)
    gpu = driver.gpus()[0]
    stuck = driver.create(spec_of(gpu, "1g.5gb", 0))
    node.inject(simulated.in_use(times=None, gpu_instance=stuck.gi_id))
    tried = Event()
    on_call(monkeypatch, "nvmlGpuInstanceDestroy", tried.set)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(driver.destroy, gpu.uuid, stuck)
        assert tried.wait(30)
        driver.create(spec_of(gpu, "1g.5gb", 1))
        driver.close()
        with pytest.raises(errors.InUse):
            waiting.result(timeout=30)


def test_creating_beside_a_plain_cuda_client_is_in_use(install: Install) -> None:
    """A program on the whole GPU keeps it from being cut."""
    driver, node = install()
    gpu = driver.gpus()[0]
    with node.cuda_client(gpu.uuid), pytest.raises(errors.InUse):
        driver.create(spec_of(gpu))


def test_two_gpus_work_at_the_same_time(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each create waits inside NVML for the other one to be there, too."""
    driver, _ = install()
    gpus = driver.gpus()
    meeting = Barrier(2, timeout=30)
    on_call(monkeypatch, CREATE_GI, meeting.wait)
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(driver.create, [spec_of(gpu) for gpu in gpus]))
    assert [driver.instances(gpu.uuid)[0].identity for gpu in gpus] == made


def test_calls_on_one_gpu_follow_one_another(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVML never sees two creates on one GPU at a time."""
    driver, node = install()
    gpu = driver.gpus()[0]
    node.inject(simulated.slow(CREATE_GI, 0.05, times=None))
    inside, alone = Lock(), []
    original = pynvml.nvmlDeviceCreateGpuInstanceWithPlacement

    def watched(*arguments: Any) -> Any:
        alone.append(inside.acquire(blocking=False))
        try:
            return original(*arguments)
        finally:
            if alone[-1]:
                inside.release()

    monkeypatch.setattr(pynvml, CREATE_GI, watched)
    specs = [spec_of(gpu, "1g.5gb", start) for start in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(driver.create, specs))
    assert alone == [True] * 4
    assert {one.identity for one in driver.instances(gpu.uuid)} == set(made)


def test_closing_waits_for_the_call_under_way(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance that is being made is made whole before NVML goes."""
    driver, node = install()
    gpu = driver.gpus()[0]
    node.inject(simulated.slow("nvmlGpuInstanceCreateComputeInstance", 0.1))
    begun = Event()
    on_call(monkeypatch, "nvmlGpuInstanceCreateComputeInstance", begun.set)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(driver.create, spec_of(gpu))
        assert begun.wait(30)
        driver.close()
        assert made.result(timeout=30).mig_uuid in node.mig_uuids


def test_a_process_that_draws_is_an_occupant(install: Install) -> None:
    """NVML lists graphics processes apart; an instance with one on it is not empty."""
    driver, node = install("1xRTX PRO 6000 Blackwell Server Edition?time_scale=0", patience=0)
    (gpu,) = driver.gpus()
    identity = driver.create(spec_of(gpu, "1g.24gb+gfx"))
    with node.graphics_client(identity.mig_uuid or ""):
        assert driver.occupants(gpu.uuid, identity) == (os.getpid(),)
        assert driver.instances(gpu.uuid)[0].occupants == (os.getpid(),)
        with pytest.raises(errors.InUse, match=str(os.getpid())):
            driver.destroy(gpu.uuid, identity)
    driver.destroy(gpu.uuid, identity)
