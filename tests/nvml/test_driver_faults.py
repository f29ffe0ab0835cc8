"""What the driver makes of a hardware that refuses, fails half-way, or is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import pynvml
import pytest

from jupyter_mig import errors
from jupyter_mig.core.geometry import Identity, Spec
from jupyter_mig.nvml import raw, simulated
from jupyter_mig.nvml.simulated import Fault
from tests.nvml.nodes import Install, spec_of

CREATE_GI = "nvmlDeviceCreateGpuInstanceWithPlacement"
CREATE_CI = "nvmlGpuInstanceCreateComputeInstance"
INVALID_ARGUMENT, NO_PERMISSION, UNKNOWN_ERROR = 2, 4, 999


def test_a_half_made_instance_is_undone(install: Install) -> None:
    """Without its compute instance the GPU instance goes too, even if it is In Use at first."""
    driver, node = install()
    gpu = driver.gpus()[0]
    node.inject(Fault(CREATE_CI, UNKNOWN_ERROR), simulated.in_use(times=2))
    with pytest.raises(errors.DriverError) as caught:
        driver.create(spec_of(gpu))
    assert caught.value.code == UNKNOWN_ERROR
    assert node.gpus[0].instances == ()


def test_an_instance_that_cannot_be_told_is_undone(install: Install) -> None:
    """What cannot be identified after it was made is destroyed, compute instance and all."""
    driver, node = install()
    gpu = driver.gpus()[0]
    node.inject(Fault("nvmlComputeInstanceGetInfo_v2", UNKNOWN_ERROR))
    with pytest.raises(errors.DriverError):
        driver.create(spec_of(gpu))
    assert node.gpus[0].instances == ()


def test_an_undo_that_fails_is_told(install: Install) -> None:
    """The error says that a half-made instance is left; it is observed and can be destroyed."""
    driver, node = install(patience=0)
    gpu = driver.gpus()[0]
    node.inject(Fault(CREATE_CI, UNKNOWN_ERROR), simulated.in_use(times=1))
    with pytest.raises(errors.DriverError, match="half-made GPU instance was left there") as caught:
        driver.create(spec_of(gpu))
    assert caught.value.left_there
    (left,) = driver.instances(gpu.uuid)
    assert (left.identity.ci_id, left.identity.mig_uuid) == (None, None)
    assert left.occupants == ()
    with pytest.raises(errors.NotFound, match="no memory reading"):
        driver.memory(left.identity)
    driver.destroy(gpu.uuid, left.identity)
    assert driver.instances(gpu.uuid) == ()


def test_a_gpu_instance_cut_by_others_is_one_instance(install: Install) -> None:
    """With several compute instances it goes by the lowest, and goes whole."""
    driver, node = install()
    gpu = driver.gpus()[0]
    device = raw.device_by_uuid(gpu.uuid)
    profile = gpu.geometry.by_name["3g.20gb"]
    place = next(p for p in raw.placements(device, profile.profile_id) if p.start == 4)
    made = raw.create_gpu_instance(device, profile.profile_id, place)
    narrow = min(raw.compute_profiles(made), key=lambda one: one.compute_slices)
    for _ in range(3):
        raw.create_compute_instance(made, narrow.profile_id)
    (seen,) = driver.instances(gpu.uuid)
    assert seen.spec == Spec(gpu.uuid, profile.profile_id, 4)
    assert seen.identity.ci_id == 0
    driver.destroy(gpu.uuid, seen.identity)
    assert node.gpus[0].instances == ()


def test_no_room_by_the_drivers_word(install: Install) -> None:
    """Insufficient Resources is handed on, and nothing is made."""
    driver, node = install()
    gpu = driver.gpus()[0]
    node.inject(simulated.no_room())
    with pytest.raises(errors.InsufficientResources):
        driver.create(spec_of(gpu))
    assert driver.instances(gpu.uuid) == ()


def test_no_permission_is_told_with_the_way_to_get_it(install: Install) -> None:
    """A refused create names the capability."""
    driver, node = install()
    node.inject(simulated.no_permission(CREATE_GI))
    with pytest.raises(errors.NoPermission, match="mig/config"):
        driver.create(spec_of(driver.gpus()[0]))


def test_mig_off_is_an_empty_gpu(install: Install) -> None:
    """It is listed without geometry, has no instances, and refuses to make one."""
    driver, node = install("1xH100 80GB HBM3?time_scale=0&mig=off")
    (gpu,) = driver.gpus()
    assert not gpu.mig_enabled
    assert gpu.geometry.profiles == ()
    assert driver.instances(gpu.uuid) == ()
    driver.destroy(gpu.uuid, Identity(1, 0))
    with pytest.raises(errors.NotSupported, match="-mig 1"):
        driver.create(Spec(gpu.uuid, 19, 0))
    node.set_mig_mode(0, on=True)
    driver.create(Spec(gpu.uuid, 19, 0))
    assert driver.instances(gpu.uuid)[0].profile_name == "1g.10gb"
    assert driver.gpus()[0].mig_enabled


def test_turning_mig_off_empties_the_gpu(install: Install) -> None:
    """Profiles learnt while it was on are not asked for any more."""
    driver, node = install("1xH100 80GB HBM3?time_scale=0")
    (gpu,) = driver.gpus()
    node.set_mig_mode(0, on=False)
    assert driver.instances(gpu.uuid) == ()
    assert not driver.gpus()[0].mig_enabled


def test_a_lost_gpu_leaves_the_others(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    """It is not listed, which is logged once; looking at it fails; back again, it is as it was."""
    driver, node = install()
    lost, sound = driver.gpus()
    identity = driver.create(spec_of(lost))
    node.lose(0)
    with caplog.at_level(logging.WARNING):
        assert driver.gpus() == (sound,)
        assert driver.gpus() == (sound,)
    assert len(caplog.records) == 1
    for call in (
        lambda: driver.instances(lost.uuid),
        lambda: driver.create(spec_of(lost)),
        lambda: driver.destroy(lost.uuid, identity),
        lambda: driver.occupants(lost.uuid, identity),
        lambda: driver.memory(identity),
    ):
        with pytest.raises(errors.GpuLost):
            call()
    node.recover(0)
    assert driver.gpus() == (lost, sound)
    assert driver.instances(lost.uuid)[0].identity == identity


def test_a_gpu_that_may_not_be_opened_is_left_out(install: Install) -> None:
    """A container or job sees its own GPUs only."""
    driver, node = install()
    _, ours = driver.gpus()
    node.inject(Fault("nvmlDeviceGetHandleByIndex_v2", NO_PERMISSION))
    assert driver.gpus() == (ours,)


def test_losing_the_only_gpu_is_an_error(install: Install) -> None:
    """A node is not silently without GPUs."""
    driver, node = install("1xA30?time_scale=0")
    node.lose(0)
    with pytest.raises(errors.GpuLost):
        driver.gpus()


def test_handles_are_read_again_after_a_reset(install: Install) -> None:
    """A reset voids all handles; the next call looks them up."""
    driver, node = install()
    gpu = driver.gpus()[0]
    identity = driver.create(spec_of(gpu))
    before = driver.memory(identity)
    node.reset(0)
    assert driver.instances(gpu.uuid) == ()
    with pytest.raises(errors.NotFound):
        driver.memory(identity)
    assert driver.create(spec_of(gpu)) == identity
    assert driver.memory(identity) == before


# Nonsense


def test_not_one_known_profile_is_an_error(install: Install) -> None:
    """A GPU whose first profile enum is invalid was not read; it is not without profiles."""
    driver, node = install()
    node.inject(Fault("nvmlDeviceGetGpuInstanceProfileInfo*", INVALID_ARGUMENT, times=None))
    with pytest.raises(errors.InvalidArgument):
        driver.gpus()


def test_an_instance_that_outlives_its_destruction_is_an_error(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Success of the call is not believed blindly."""
    driver, node = install()
    gpu = driver.gpus()[0]
    identity = driver.create(spec_of(gpu))
    with monkeypatch.context() as patch:
        patch.setattr(pynvml, "nvmlGpuInstanceDestroy", lambda handle: 0)
        with pytest.raises(errors.DriverError, match="is there although NVML destroyed it"):
            driver.destroy(gpu.uuid, identity)
    assert len(node.gpus[0].instances) == 1


def test_a_gpu_that_needs_a_reset_counts_as_lost(install: Install) -> None:
    """Its neighbour is described and works; after the reset it is back, and empty."""
    driver, node = install()
    gpus = driver.gpus()
    driver.create(spec_of(gpus[0]))
    node.require_reset(0)
    assert [gpu.uuid for gpu in driver.gpus()] == [gpus[1].uuid]
    with pytest.raises(errors.GpuLost, match="requires reset"):
        driver.instances(gpus[0].uuid)
    node.reset(0)
    assert driver.gpus() == gpus
    assert driver.instances(gpus[0].uuid) == ()


@pytest.mark.parametrize("act", [simulated.Node.remove_driver, simulated.Node.upgrade_driver])
def test_a_driver_that_goes_is_no_driver(
    install: Install, act: Callable[[simulated.Node], None]
) -> None:
    """Nothing is taken for empty while it is away, and all is seen when it is back."""
    driver, node = install()
    gpus = driver.gpus()
    identity = driver.create(spec_of(gpus[0]))
    act(node)
    for call in (
        driver.gpus,
        partial(driver.instances, gpus[0].uuid),
        partial(driver.memory, identity),
        partial(driver.destroy, gpus[0].uuid, identity),
    ):
        with pytest.raises(errors.NoDriver):
            call()
    node.restore_driver()
    assert driver.instances(gpus[0].uuid)[0].identity == identity


def test_an_instance_held_by_nobody_listed_is_named_so(install: Install) -> None:
    """The error says that no process is there; the half-destroyed instance is observed as such."""
    driver, node = install(patience=0)
    gpu = driver.gpus()[0]
    identity = driver.create(spec_of(gpu))
    held = node.hold(identity.mig_uuid or "")
    with pytest.raises(errors.InUse, match="no process"):
        driver.destroy(gpu.uuid, identity)
    (left,) = driver.instances(gpu.uuid)
    assert left.identity == Identity(identity.gi_id)
    held.release()
    driver.destroy(gpu.uuid, left.identity)
    assert driver.instances(gpu.uuid) == ()


def test_patience_outlasts_a_hold(install: Install) -> None:
    """In Use for a fifth of a second is waited for."""
    driver, node = install()
    gpu = driver.gpus()[0]
    identity = driver.create(spec_of(gpu))
    node.hold(identity.mig_uuid or "", seconds=0.2)
    driver.destroy(gpu.uuid, identity)
    assert driver.instances(gpu.uuid) == ()
