"""What the driver sees without privilege, and through older drivers."""

from __future__ import annotations

import os
from typing import Any

import pynvml
import pytest

from jupyter_mig import errors
from jupyter_mig.core.geometry import Identity, Spec
from jupyter_mig.nvml import raw, simulated
from jupyter_mig.nvml.simulated import Fault
from tests.nvml.nodes import Install, spec_of

FUNCTION_NOT_FOUND = 13


def test_any_user_sees_instances_but_not_where_they_are(install: Install) -> None:
    """The walk over the MIG devices finds profile, identity and memory; the start is unknown."""
    driver, node = install("1xA100-SXM4-40GB?time_scale=0&privileged=off")
    (gpu,) = driver.gpus()
    uuids = [node.create(0, "3g.20gb", 4), node.create(0, "1g.5gb", 0)]
    seen = {one.identity.mig_uuid: one for one in driver.instances(gpu.uuid)}
    assert set(seen) == set(uuids)
    big = seen[uuids[0]]
    assert big.spec == Spec(gpu.uuid, gpu.geometry.by_name["3g.20gb"].profile_id, None)
    assert (big.profile_name, big.identity.ci_id) == ("3g.20gb", 0)
    assert driver.memory(big.identity)[1] == big.memory_bytes


def test_any_user_can_tell_profiles_of_one_size_apart(install: Install) -> None:
    """Only its name says that a MIG device has media engines."""
    driver, node = install("1xA100-SXM4-40GB?time_scale=0&privileged=off")
    (gpu,) = driver.gpus()
    node.create(0, "1g.5gb+me", 0)
    assert driver.instances(gpu.uuid)[0].profile_name == "1g.5gb+me"


@pytest.mark.parametrize("said", ["", "NVIDIA A100-SXM4-40GB MIG 3g.21gb"])
def test_a_mig_device_of_unknown_name_goes_by_its_size(
    install: Install, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """Slices and memory tell the profile; if they fit none, the device speaks for itself."""
    driver, node = install("1xA100-SXM4-40GB?time_scale=0&privileged=off")
    (gpu,) = driver.gpus()
    node.create(0, "3g.20gb", 4)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda handle: said)
    assert driver.instances(gpu.uuid)[0].profile_name == "3g.20gb"
    original = pynvml.nvmlDeviceGetAttributes_v2

    def odd(handle: object) -> Any:
        found = original(handle)
        found.memorySizeMB += 1
        return found

    monkeypatch.setattr(pynvml, "nvmlDeviceGetAttributes_v2", odd)
    (seen,) = driver.instances(gpu.uuid)
    assert seen.profile_name == ("3g.21gb" if said else "3g.20gb")
    assert seen.memory_bytes == (19968 + 1) * 2**20
    assert seen.spec.profile_id not in gpu.geometry.by_id


@pytest.mark.parametrize("monitor", ["on", "off"])
def test_any_user_sees_who_is_on_an_instance(install: Install, monitor: str) -> None:
    """With ``mig/monitor`` the GPU tells, without it the MIG device does."""
    driver, node = install(f"1xA100-SXM4-40GB?time_scale=0&privileged=off&monitor={monitor}")
    (gpu,) = driver.gpus()
    with node.cuda_client(node.create(0, "1g.5gb", 0)):
        node.create(0, "1g.5gb", 1)
        seen = driver.instances(gpu.uuid)
        assert sorted(one.occupants or () for one in seen) == [(), (os.getpid(),)]
        for one in seen:
            assert driver.occupants(gpu.uuid, one.identity) == one.occupants


def test_occupants_may_be_unknown(install: Install) -> None:
    """Where nothing tells who is there, nobody is not the answer."""
    driver, node = install("1xA100-SXM4-40GB?time_scale=0&privileged=off")
    (gpu,) = driver.gpus()
    node.create(0, "1g.5gb", 0)
    node.inject(simulated.no_permission("nvmlDeviceGetComputeRunningProcesses_v*", times=None))
    (seen,) = driver.instances(gpu.uuid)
    assert seen.occupants is None
    for identity in (seen.identity, Identity(seen.identity.gi_id)):
        with pytest.raises(errors.NoPermission):
            driver.occupants(gpu.uuid, identity)


def test_a_user_without_privilege_changes_nothing(install: Install) -> None:
    """Creating and destroying are refused."""
    driver, node = install("1xA100-SXM4-40GB?time_scale=0&privileged=off")
    (gpu,) = driver.gpus()
    node.create(0, "1g.5gb", 0)
    with pytest.raises(errors.NoPermission):
        driver.create(Spec(gpu.uuid, 19, 1))
    with pytest.raises(errors.NoPermission):
        driver.destroy(gpu.uuid, driver.instances(gpu.uuid)[0].identity)
    assert len(node.mig_uuids) == 1


def test_profiles_without_permission_are_none(install: Install) -> None:
    """A reader who may learn no profile still has the GPU."""
    driver, node = install()
    node.inject(simulated.no_permission("nvmlDeviceGetGpuInstanceProfileInfo*", times=None))
    assert [gpu.geometry.profiles for gpu in driver.gpus()] == [(), ()]


def test_placements_without_permission_are_none(install: Install) -> None:
    """Profiles are known without their places."""
    driver, node = install()
    whole = driver.gpus()[0].geometry
    node.inject(simulated.no_permission("nvmlDeviceGetGpuInstancePossiblePlacements*", times=None))
    blind = driver.gpus()[0].geometry
    assert list(blind.by_name) == list(whole.by_name)
    assert {(one.width, one.starts) for one in blind.profiles} == {(0, ())}


@pytest.mark.parametrize("model", ["A30", "H200", "RTX PRO 6000 Blackwell Server Edition"])
def test_an_old_driver_shows_the_same_node(install: Install, model: str) -> None:
    """Without the newer versions of its functions the same names and readings come out."""
    driver, node = install(f"1x{model}?time_scale=0")
    (gpu,) = driver.gpus()
    for newer in (
        "nvmlDeviceGetGpuInstanceProfileInfoV",
        "nvmlGpuInstanceGetComputeInstanceProfileInfoV",
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetComputeRunningProcesses_v3",
    ):
        node.inject(Fault(newer, FUNCTION_NOT_FOUND, times=None))
    assert driver.gpus() == (gpu,)
    identity = driver.create(spec_of(gpu))
    assert driver.instances(gpu.uuid)[0].identity == identity
    used, total = driver.memory(identity)
    assert 0 <= used < total


def test_the_mig_device_is_found_where_the_info_names_the_gpu(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVML's header calls it the parent; then the MIG device is looked for."""
    driver, node = install("1xA100-SXM4-40GB?time_scale=0")
    (gpu,) = driver.gpus()
    node.create(0, "1g.5gb", 3)
    original = pynvml.nvmlComputeInstanceGetInfo_v2

    def with_parent(handle: object) -> Any:
        info = original(handle)
        info.device = raw.device_by_uuid(gpu.uuid)
        return info

    monkeypatch.setattr(pynvml, "nvmlComputeInstanceGetInfo_v2", with_parent)
    identity = driver.create(spec_of(gpu, "2g.10gb", 4))
    assert identity.mig_uuid == node.mig_uuids[1]


def test_processes_whose_instance_is_hidden_are_asked_for_by_mig_device(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that does not say who is where never makes an instance look empty."""
    driver, node = install("1xA100-SXM4-40GB?time_scale=0")
    (gpu,) = driver.gpus()
    identity = driver.create(spec_of(gpu))
    original = pynvml.nvmlDeviceGetComputeRunningProcesses_v3

    def hiding(handle: object) -> Any:
        found = original(handle)
        for one in found:
            one.gpuInstanceId = 0xFFFFFFFF
        return found

    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses_v3", hiding)
    with node.cuda_client(identity.mig_uuid or ""):
        assert driver.occupants(gpu.uuid, identity) == (os.getpid(),)
        assert driver.instances(gpu.uuid)[0].occupants == (os.getpid(),)


def test_the_error_that_is_none_is_none(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of pynvml's lists raise error 0 when they are empty."""
    driver, _ = install("1xA100-SXM4-40GB?time_scale=0")
    (gpu,) = driver.gpus()

    def empty(handle: object) -> Any:
        raise pynvml.NVMLError(0)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses_v3", empty)
    assert driver.occupants(gpu.uuid, driver.create(spec_of(gpu))) == ()
