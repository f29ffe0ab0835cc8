from __future__ import annotations

import ctypes

import pynvml

from jupyter_mig.nvml import simulated
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu, make


def widths(instance: object) -> dict[int, tuple[int, int]]:
    """Width, and (id, count) of every compute profile of a GPU instance."""
    found = {}
    for enum in range(pynvml.NVML_COMPUTE_INSTANCE_PROFILE_COUNT):
        try:
            info = pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, enum, 0)
        except pynvml.NVMLError_NotSupported:
            continue
        found[info.sliceCount] = (info.id, info.instanceCount)
    return found


def test_compute_profiles_are_those_of_the_listing(a100: simulated.Node) -> None:
    """1c, 2c, 3c, 4c, 7c have ids 0 to 4, and each GPU instance offers its own set."""
    offered = {}
    for profile_id in (19, 14, 9, 5, 0):
        instance = pynvml.nvmlDeviceCreateGpuInstance(gpu(), profile_id)
        offered[profile_id] = widths(instance)
        pynvml.nvmlGpuInstanceDestroy(instance)
    assert offered == {
        19: {1: (0, 1)},
        14: {1: (0, 2), 2: (1, 1)},
        9: {1: (0, 3), 2: (1, 1), 3: (2, 1)},
        5: {1: (0, 4), 2: (1, 2), 4: (3, 1)},
        0: {1: (0, 7), 2: (1, 3), 3: (2, 2), 4: (3, 1), 7: (4, 1)},
    }


def test_a_gpu_instance_can_be_split_into_compute_instances(a100: simulated.Node) -> None:
    """A 3g takes a 1c and a 2c, and then nothing; the parts name themselves."""
    instance = pynvml.nvmlDeviceCreateGpuInstance(gpu(), 9)
    two = pynvml.nvmlGpuInstanceCreateComputeInstance(instance, 1)
    remaining = pynvml.nvmlGpuInstanceGetComputeInstanceRemainingCapacity
    assert (remaining(instance, 0), remaining(instance, 1), remaining(instance, 2)) == (1, 0, 0)
    one = pynvml.nvmlGpuInstanceCreateComputeInstance(instance, 0)
    infos = [pynvml.nvmlComputeInstanceGetInfo(ci) for ci in (two, one)]
    assert [(i.id, i.profileId, i.placement.start, i.placement.size) for i in infos] == [
        (0, 1, 0, 2),
        (1, 0, 2, 1),
    ]
    assert [pynvml.nvmlDeviceGetName(i.device) for i in infos] == [
        "NVIDIA A100-SXM4-40GB MIG 2c.3g.20gb",
        "NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb",
    ]
    assert len({pynvml.nvmlDeviceGetUUID(i.device) for i in infos}) == 2
    assert code(pynvml.nvmlGpuInstanceCreateComputeInstance, instance, 0) == 23


def test_compute_profile_info_without_version_has_the_same_numbers(a100: simulated.Node) -> None:
    """The first struct says the same, without a name."""
    instance = pynvml.nvmlDeviceCreateGpuInstance(gpu(), 9)
    ask = pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo
    old, new = ask(instance, 1, 0, version=1), ask(instance, 1, 0)
    assert new.name == "MIG 2c.3g.20gb"
    assert [getattr(old, name) for name, _ in old._fields_] == [
        getattr(new, name) for name, _ in old._fields_
    ]


def test_the_device_in_compute_instance_info_is_the_mig_device(a100: simulated.Node) -> None:
    """So a program needs no walk to find the UUID of what it made."""
    made = make(gpu(), 14)
    info = pynvml.nvmlComputeInstanceGetInfo(made.compute_instance)
    uuid = pynvml.nvmlDeviceGetUUID(info.device)
    assert uuid.startswith("MIG-")
    assert program.mig_devices(gpu()) == {0: uuid}
    assert program.instance_id(info.gpuInstance) == program.instance_id(made.gpu_instance)


def test_a_compute_instance_goes_where_it_is_told(a100: simulated.Node) -> None:
    """Possible, occupied and impossible placements have their own codes."""
    instance = pynvml.nvmlDeviceCreateGpuInstance(gpu(), 5)
    create = pynvml.nvmlGpuInstanceCreateComputeInstanceWithPlacement

    def at(start: int, size: int) -> object:
        return ctypes.byref(pynvml.c_nvmlComputeInstancePlacement_t(start, size))

    made = create(instance, 1, at(2, 2))
    assert pynvml.nvmlComputeInstanceGetInfo(made).placement.start == 2
    assert code(create, instance, 0, at(3, 1)) == 23
    assert code(create, instance, 1, at(1, 2)) == 2


def test_compute_placements_and_instances_are_listed(a100: simulated.Node) -> None:
    """The count-then-array protocol works here as for GPU instances."""
    instance = pynvml.nvmlDeviceCreateGpuInstance(gpu(), 14)
    count = ctypes.c_uint()
    possible = pynvml.nvmlGpuInstanceGetComputeInstancePossiblePlacements
    possible(instance, 0, None, ctypes.byref(count))
    places = (pynvml.c_nvmlComputeInstancePlacement_t * count.value)()
    possible(instance, 0, places, ctypes.byref(count))
    assert [(one.start, one.size) for one in places] == [(0, 1), (1, 1)]

    made = pynvml.nvmlGpuInstanceCreateComputeInstance(instance, 0)
    array, count = (pynvml.c_nvmlComputeInstance_t * 2)(), ctypes.c_uint(2)
    pynvml.nvmlGpuInstanceGetComputeInstances(instance, 0, array, ctypes.byref(count))
    assert count.value == 1
    by_id = pynvml.nvmlGpuInstanceGetComputeInstanceById(instance, 0)
    addresses = {ctypes.cast(one, ctypes.c_void_p).value for one in (made, array[0], by_id)}
    assert len(addresses) == 1
    assert code(pynvml.nvmlGpuInstanceGetComputeInstanceById, instance, 1) == 6


def test_ids_of_compute_instances_are_used_again(a100: simulated.Node) -> None:
    """The lowest free id is given, so an id tells no age."""
    instance = pynvml.nvmlDeviceCreateGpuInstance(gpu(), 0)
    made = [pynvml.nvmlGpuInstanceCreateComputeInstance(instance, 0) for _ in range(3)]
    pynvml.nvmlComputeInstanceDestroy(made[1])
    again = pynvml.nvmlGpuInstanceCreateComputeInstance(instance, 0)
    assert pynvml.nvmlComputeInstanceGetInfo(again).id == 1
