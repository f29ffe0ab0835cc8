"""The table of situations and codes, as a program meets them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated.codes import TEXTS
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu, make, placement

Situation = Callable[[simulated.Node], int]


def _over_enum(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetGpuInstanceProfileInfo, gpu(), 0x12)


def _absent_enum(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetGpuInstanceProfileInfo, gpu(), 0xA)


def _enum_taken_for_an_id(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceCreateGpuInstance, gpu(), 0x7)


def _no_capacity(node: simulated.Node) -> int:
    make(gpu(), 0)
    return code(pynvml.nvmlDeviceCreateGpuInstance, gpu(), 19)


def _occupied_placement(node: simulated.Node) -> int:
    make(gpu(), 14, 2)
    at = placement(3, 1)
    return code(pynvml.nvmlDeviceCreateGpuInstanceWithPlacement, gpu(), 19, at)


def _start_that_is_not_possible(node: simulated.Node) -> int:
    at = placement(7, 1)
    return code(pynvml.nvmlDeviceCreateGpuInstanceWithPlacement, gpu(), 19, at)


def _size_that_is_not_possible(node: simulated.Node) -> int:
    at = placement(0, 3)
    return code(pynvml.nvmlDeviceCreateGpuInstanceWithPlacement, gpu(), 9, at)


def _destroy_with_compute_instance(node: simulated.Node) -> int:
    return code(pynvml.nvmlGpuInstanceDestroy, make(gpu(), 19).gpu_instance)


def _destroy_with_client(node: simulated.Node) -> int:
    made = make(gpu(), 19)
    with node.cuda_client(program.uuid(made)):
        return code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance)


def _first_instance_beside_a_plain_client(node: simulated.Node) -> int:
    with node.cuda_client(node.gpus[0].uuid):
        return code(pynvml.nvmlDeviceCreateGpuInstance, gpu(), 19)


def _later_instance_beside_a_plain_client(node: simulated.Node) -> int:
    make(gpu(), 19)
    with node.cuda_client(node.gpus[0].uuid):
        return code(pynvml.nvmlDeviceCreateGpuInstance, gpu(), 19)


def _gone_gpu_instance_by_id(node: simulated.Node) -> int:
    made = make(gpu(), 19)
    number = program.instance_id(made.gpu_instance)
    program.unmake(made)
    return code(pynvml.nvmlDeviceGetGpuInstanceById, gpu(), number)


def _gone_mig_uuid(node: simulated.Node) -> int:
    made = make(gpu(), 19)
    uuid = program.uuid(made)
    program.unmake(made)
    return code(pynvml.nvmlDeviceGetHandleByUUID, uuid)


def _unknown_gpu_uuid(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetHandleByUUID, "GPU-00000000-0000-0000-0000-000000000000")


def _index_beyond_the_last_gpu(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetHandleByIndex, 1)


def _mig_index_without_device(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, gpu(), 3)


def _mig_handle_where_a_gpu_is_wanted(node: simulated.Node) -> int:
    device = program.mig_device(make(gpu(), 19))
    return code(pynvml.nvmlDeviceCreateGpuInstance, device, 19)


def _mig_handle_asked_for_temperature(node: simulated.Node) -> int:
    device = program.mig_device(make(gpu(), 19))
    return code(pynvml.nvmlDeviceGetTemperature, device, pynvml.NVML_TEMPERATURE_GPU)


def _gpu_handle_asked_for_instance_id(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetGpuInstanceId, gpu())


def _gpu_handle_asked_for_attributes(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetAttributes, gpu())


def _utilization_in_mig_mode(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetUtilizationRates, gpu())


def _utilization_of_a_slice(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetUtilizationRates, program.mig_device(make(gpu(), 19)))


def _null_gpu_instance(node: simulated.Node) -> int:
    return code(pynvml.nvmlGpuInstanceGetInfo, pynvml.c_nvmlGpuInstance_t())


def _gpu_handle_taken_for_an_instance(node: simulated.Node) -> int:
    return code(pynvml.nvmlGpuInstanceDestroy, gpu())


def _instance_handle_taken_for_a_gpu(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetUUID, make(gpu(), 19).gpu_instance)


def _instance_handle_taken_for_a_compute_instance(node: simulated.Node) -> int:
    return code(pynvml.nvmlComputeInstanceDestroy, make(gpu(), 19).gpu_instance)


def _sensor_that_is_none(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetTemperature, gpu(), 1)


def _compute_enum_beyond_the_last(node: simulated.Node) -> int:
    instance = make(gpu(), 19).gpu_instance
    return code(pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo, instance, 9, 0)


def _compute_enum_wider_than_the_instance(node: simulated.Node) -> int:
    instance = make(gpu(), 19).gpu_instance
    return code(pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo, instance, 1, 0)


def _compute_profile_wider_than_the_instance(node: simulated.Node) -> int:
    instance = pynvml.nvmlDeviceCreateGpuInstance(gpu(), 19)
    return code(pynvml.nvmlGpuInstanceCreateComputeInstance, instance, 4)


def _unknown_compute_profile(node: simulated.Node) -> int:
    instance = pynvml.nvmlDeviceCreateGpuInstance(gpu(), 19)
    return code(pynvml.nvmlGpuInstanceCreateComputeInstance, instance, 77)


def _second_whole_compute_instance(node: simulated.Node) -> int:
    return code(pynvml.nvmlGpuInstanceCreateComputeInstance, make(gpu(), 19).gpu_instance, 0)


def _mode_that_is_none(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceSetMigMode, gpu(), 2)


def _event_set(node: simulated.Node) -> int:
    return code(pynvml.nvmlEventSetCreate)


def _gpm(node: simulated.Node) -> int:
    return code(pynvml.nvmlGpmQueryDeviceSupport, gpu())


def _function_of_a_newer_library(node: simulated.Node) -> int:
    return code(pynvml.nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts, gpu(), None)


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (_over_enum, 2),
        (_absent_enum, 3),
        (_enum_taken_for_an_id, 2),
        (_no_capacity, 23),
        (_occupied_placement, 23),
        (_start_that_is_not_possible, 2),
        (_size_that_is_not_possible, 2),
        (_destroy_with_compute_instance, 19),
        (_destroy_with_client, 19),
        (_first_instance_beside_a_plain_client, 19),
        (_later_instance_beside_a_plain_client, 0),
        (_gone_gpu_instance_by_id, 6),
        (_gone_mig_uuid, 6),
        (_unknown_gpu_uuid, 6),
        (_index_beyond_the_last_gpu, 2),
        (_mig_index_without_device, 6),
        (_mig_handle_where_a_gpu_is_wanted, 2),
        (_mig_handle_asked_for_temperature, 3),
        (_gpu_handle_asked_for_instance_id, 2),
        (_gpu_handle_asked_for_attributes, 3),
        (_utilization_in_mig_mode, 3),
        (_utilization_of_a_slice, 3),
        (_null_gpu_instance, 2),
        (_gpu_handle_taken_for_an_instance, 2),
        (_instance_handle_taken_for_a_gpu, 2),
        (_instance_handle_taken_for_a_compute_instance, 2),
        (_sensor_that_is_none, 2),
        (_compute_enum_beyond_the_last, 2),
        (_compute_enum_wider_than_the_instance, 3),
        (_compute_profile_wider_than_the_instance, 3),
        (_unknown_compute_profile, 2),
        (_second_whole_compute_instance, 23),
        (_mode_that_is_none, 2),
        (_event_set, 0),
        (_gpm, 0),
        (_function_of_a_newer_library, 13),
    ],
)
def test_each_situation_has_its_code(
    a100: simulated.Node, situation: Situation, expected: int
) -> None:
    """With privileges and MIG on, the code is the one of the real library."""
    assert situation(a100) == expected


MIG_QUESTIONS: list[tuple[Callable[..., object], tuple[object, ...]]] = [
    (pynvml.nvmlDeviceGetGpuInstanceProfileInfo, (0,)),
    (pynvml.nvmlDeviceGetGpuInstanceProfileInfoById, (19,)),
    (pynvml.nvmlDeviceGetGpuInstancePossiblePlacements, (19, None, ctypes.byref(ctypes.c_uint()))),
    (pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity, (19,)),
    (pynvml.nvmlDeviceCreateGpuInstance, (19,)),
    (pynvml.nvmlDeviceCreateGpuInstanceWithPlacement, (19, placement(0, 1))),
    (pynvml.nvmlDeviceGetGpuInstanceById, (7,)),
]


@pytest.mark.parametrize(("call", "arguments"), MIG_QUESTIONS)
def test_with_mig_off_questions_about_instances_are_not_supported(
    call: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    """MIG off looks like a GPU without MIG."""
    with program.running("1xA30?mig=off"):
        assert pynvml.nvmlDeviceGetMigMode(gpu()) == [0, 0]
        assert pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu()) == 0
        assert code(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, gpu(), 0) == 6
        assert code(call, gpu(), *arguments) == 3


@pytest.mark.parametrize("number", sorted(TEXTS))
def test_error_texts_are_the_librarys_own(a100: simulated.Node, number: int) -> None:
    """Programs that ask the library get its text; NVMLError asks only where pynvml has none."""
    assert pynvml.nvmlErrorString(number) == TEXTS[number]


def test_an_error_prints_the_librarys_text(a100: simulated.Node) -> None:
    """In Use has no text in pynvml itself."""
    assert str(pynvml.NVMLError(19)) == "In use by another client"


def test_an_unknown_code_has_a_text_too(a100: simulated.Node) -> None:
    """The library never fails to name a code."""
    assert pynvml.nvmlErrorString(4711) == "Unknown Error"
