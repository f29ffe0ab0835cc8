from __future__ import annotations

import ctypes

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu, make


def test_enum_and_id_are_two_numbers(a100: simulated.Node) -> None:
    """Profiles are found by enum and used by id."""
    by_enum = {
        enum: pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu(), enum).id
        for enum in (0, 1, 2, 3, 4, 7, 9)
    }
    assert by_enum == {0: 19, 1: 14, 2: 9, 3: 5, 4: 0, 7: 20, 9: 15}


@pytest.mark.parametrize("model", simulated.known_models().values(), ids=lambda one: one.name)
def test_profiles_are_those_of_the_board(model: simulated.models.Model) -> None:
    """Names, ids, memory, multiprocessors, counts, engines and placements reach the program."""
    with program.running(f"1x{model.name}"):
        found = program.profiles(gpu())
        assert set(found) == {profile.name for profile in model.profiles}
        for profile in model.profiles:
            info = found[profile.name]
            assert (info.id, info.sliceCount) == (profile.id, profile.slices)
            assert (info.memorySizeMB, info.multiprocessorCount) == (
                profile.memory_mib,
                profile.multiprocessors,
            )
            assert (info.instanceCount, info.isP2pSupported) == (profile.max_count, 0)
            assert program.placements(gpu(), info.id) == [
                (start, profile.size) for start in profile.starts
            ]
            by_id = pynvml.nvmlDeviceGetGpuInstanceProfileInfoById(gpu(), info.id)
            assert bytes(by_id) == bytes(info)


def test_an_instance_is_told_with_id_profile_device_and_placement(a100: simulated.Node) -> None:
    """Info names the parent by the same handle a program got by index."""
    made = make(gpu(), 9, 4)
    info = pynvml.nvmlGpuInstanceGetInfo(made.gpu_instance)
    assert (info.id, info.profileId) == (2, 9)
    assert (info.placement.start, info.placement.size) == (4, 4)
    assert pynvml.nvmlDeviceGetUUID(info.device) == pynvml.nvmlDeviceGetUUID(gpu())


def test_instances_are_listed_by_profile_and_found_by_id(a100: simulated.Node) -> None:
    """A handle from a list, by id and from creation is the same."""
    made = [make(gpu(), 19).gpu_instance for _ in range(3)]
    make(gpu(), 14)
    addresses = [ctypes.cast(one, ctypes.c_void_p).value for one in made]
    listed = program.gpu_instances(gpu(), 19)
    assert [ctypes.cast(one, ctypes.c_void_p).value for one in listed] == addresses
    by_id = pynvml.nvmlDeviceGetGpuInstanceById(gpu(), program.instance_id(made[1]))
    assert ctypes.cast(by_id, ctypes.c_void_p).value == addresses[1]
    assert program.gpu_instances(gpu(), 9) == []


def test_a_stale_handle_is_recognised_though_the_place_is_taken_again(
    a100: simulated.Node,
) -> None:
    """A handle means one instance, not whatever has its id now."""
    first = make(gpu(), 9, 4)
    device = program.mig_device(first)
    program.unmake(first)
    second = make(gpu(), 9, 4)
    assert program.instance_id(second.gpu_instance) == 2
    assert code(pynvml.nvmlGpuInstanceGetInfo, first.gpu_instance) == 2
    assert code(pynvml.nvmlGpuInstanceDestroy, first.gpu_instance) == 2
    assert code(pynvml.nvmlComputeInstanceDestroy, first.compute_instance) == 2
    assert code(pynvml.nvmlDeviceGetUUID, device) == 6
    assert code(pynvml.nvmlDeviceGetMemoryInfo, device) == 6


def test_handles_end_with_the_last_shutdown(a100: simulated.Node) -> None:
    """NVML counts inits; a handle does not outlive them."""
    device = gpu()
    pynvml.nvmlInit()
    pynvml.nvmlShutdown()
    assert code(pynvml.nvmlDeviceGetIndex, device) == 0
    pynvml.nvmlShutdown()
    assert code(pynvml.nvmlDeviceGetIndex, device) == 1
    assert code(pynvml.nvmlShutdown) == 1
    pynvml.nvmlInit()
    assert code(pynvml.nvmlDeviceGetIndex, device) == 2


def test_an_ordinary_user_may_look_but_not_touch_and_never_learns_a_start() -> None:
    """Without ``mig/config`` there is no way to a GPU instance handle, so none to a placement."""
    with program.running("1xA30", privileged=False) as node:
        node.create(0, "1g.6gb")
        count = ctypes.byref(ctypes.c_uint(4))
        array = (pynvml.c_nvmlGpuInstance_t * 4)()
        places = (pynvml.c_nvmlGpuInstancePlacement_t * 4)()
        device = gpu()
        assert {
            code(pynvml.nvmlDeviceCreateGpuInstance, device, 14),
            code(pynvml.nvmlDeviceGetGpuInstances, device, 14, array, count),
            code(pynvml.nvmlDeviceGetGpuInstanceById, device, 3),
            code(pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity, device, 14),
            code(pynvml.nvmlDeviceGetGpuInstancePossiblePlacements, device, 14, places, count),
            code(pynvml.nvmlDeviceSetMigMode, device, 0),
        } == {4}
        assert set(program.mig_devices(device).values()) == set(node.mig_uuids)
        assert "1g.6gb" in program.profiles(device)


def test_an_ordinary_user_cannot_destroy_with_a_handle_either(a100: simulated.Node) -> None:
    """A handle passed on by a privileged part of a program gives no privilege."""
    made = make(gpu(), 19)
    session = pynvml.nvmlLib.nvmlDeviceGetIndex._session
    session._privileged = False
    assert code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance) == 4
    assert code(pynvml.nvmlGpuInstanceDestroy, made.gpu_instance) == 4
    assert code(pynvml.nvmlGpuInstanceCreateComputeInstance, made.gpu_instance, 0) == 4


def test_mig_mode_goes_off_and_on_when_the_gpu_is_idle(a100: simulated.Node) -> None:
    """The activation status is what tells."""
    assert pynvml.nvmlDeviceSetMigMode(gpu(), 0) == 0
    assert pynvml.nvmlDeviceGetMigMode(gpu()) == [0, 0]
    assert pynvml.nvmlDeviceSetMigMode(gpu(), 1) == 0
    assert pynvml.nvmlDeviceGetMigMode(gpu()) == [1, 1]


def test_a_client_keeps_a_mode_change_pending_until_a_reset() -> None:
    """The call succeeds, its activation status is In Use, the mode waits."""
    with program.running("1xH200?mig=off") as node:
        with node.cuda_client(node.gpus[0].uuid):
            assert pynvml.nvmlDeviceSetMigMode(gpu(), 1) == 19
            assert pynvml.nvmlDeviceGetMigMode(gpu()) == [0, 1]
        node.reset(0)
        assert pynvml.nvmlDeviceGetMigMode(gpu()) == [1, 1]
