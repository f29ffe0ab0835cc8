"""What C sees: pointers, structs by value, NULL, versions, sizes."""

from __future__ import annotations

import ctypes

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu

Placement = pynvml.c_nvmlGpuInstancePlacement_t


def test_a_struct_by_value_is_a_bogus_pointer(a100: simulated.Node) -> None:
    """A bare placement goes by value through pynvml; nothing is made of it."""
    create = pynvml.nvmlDeviceCreateGpuInstanceWithPlacement
    assert code(create, gpu(), 19, Placement(0, 1)) == 2
    assert code(create, gpu(), 19, ctypes.byref(Placement(0, 1))) == 0
    assert code(create, gpu(), 19, ctypes.pointer(Placement(1, 1))) == 0
    assert [one.start for one in a100.gpus[0].instances] == [0, 1]


def test_a_compute_placement_by_value_is_refused_too(a100: simulated.Node) -> None:
    """The twin for compute instances has the same trap."""
    instance = pynvml.nvmlDeviceCreateGpuInstance(gpu(), 14)
    create = pynvml.nvmlGpuInstanceCreateComputeInstanceWithPlacement
    at = pynvml.c_nvmlComputeInstancePlacement_t(1, 1)
    assert code(create, instance, 0, at) == 2
    assert code(create, instance, 0, ctypes.byref(at)) == 0


@pytest.mark.parametrize(
    "bogus",
    [None, 0, 12345, ctypes.c_uint(5), ctypes.byref(ctypes.c_uint8()), Placement(0, 1)],
    ids=["NULL", "0", "integer", "c_uint", "too small", "struct"],
)
def test_a_result_needs_a_pointer_to_enough_memory(a100: simulated.Node, bogus: object) -> None:
    """Anything else is an invalid argument, and no memory is written."""
    function = pynvml.nvmlLib.nvmlDeviceGetMaxMigDeviceCount
    assert function(gpu(), bogus) == 2


@pytest.mark.parametrize("bogus", [None, 0, 1 << 40, Placement(0, 1), ctypes.c_void_p(0xDEAD)])
def test_a_device_needs_a_handle_given_out(a100: simulated.Node, bogus: object) -> None:
    """NULL, invented numbers and structs are invalid arguments."""
    assert pynvml.nvmlLib.nvmlDeviceGetIndex(bogus, ctypes.byref(ctypes.c_uint())) == 2


def test_a_number_by_value_may_be_an_int_or_a_ctypes_number(a100: simulated.Node) -> None:
    """Both are passed the same way; a struct is not a number, and a float not even passed."""
    function, into = pynvml.nvmlLib.nvmlDeviceGetHandleByIndex_v2, pynvml.c_nvmlDevice_t()
    assert function(0, ctypes.byref(into)) == 0
    assert function(ctypes.c_uint(0), ctypes.byref(into)) == 0
    assert function(None, ctypes.byref(into)) == 0
    assert function(Placement(0, 1), ctypes.byref(into)) == 2
    with pytest.raises(ctypes.ArgumentError):
        function(0.0, ctypes.byref(into))


def test_a_call_with_too_few_arguments_is_a_mistake_of_the_test(a100: simulated.Node) -> None:
    """C would read garbage; here it is told."""
    with pytest.raises(TypeError, match="takes 2 arguments, not 1"):
        pynvml.nvmlLib.nvmlDeviceGetIndex(gpu())


@pytest.mark.parametrize("version", [0, 1, 0x01000098, 0x03000098])
def test_a_wrong_struct_version_is_an_invalid_argument(a100: simulated.Node, version: int) -> None:
    """Real libraries answer 2 here, not Argument version mismatch."""
    info = pynvml.c_nvmlGpuInstanceProfileInfo_v2_t()
    info.version = version
    function = pynvml.nvmlLib.nvmlDeviceGetGpuInstanceProfileInfoV
    assert function(gpu(), 0, ctypes.byref(info)) == 2


def test_profile_info_without_version_has_the_same_numbers(a100: simulated.Node) -> None:
    """The first struct says the same, without a name."""
    old = pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu(), 2, version=1)
    new = pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu(), 2)
    for name, _ in old._fields_:
        assert getattr(old, name) == getattr(new, name)


def test_a_count_too_small_is_insufficient_size_and_tells_the_need(
    a100: simulated.Node,
) -> None:
    """Placements go into an array whose length the count holds."""
    count, array = ctypes.c_uint(6), (Placement * 7)()
    possible = pynvml.nvmlDeviceGetGpuInstancePossiblePlacements
    assert code(possible, gpu(), 19, array, ctypes.byref(count)) == 7
    assert count.value == 7
    assert code(possible, gpu(), 19, array, ctypes.byref(count)) == 0
    assert [one.start for one in array] == [0, 1, 2, 3, 4, 5, 6]


def test_an_array_too_small_is_not_written_past_its_end(a100: simulated.Node) -> None:
    """A count that promises too much is caught where ctypes knows the array."""
    count, array = ctypes.c_uint(7), (Placement * 2)()
    possible = pynvml.nvmlDeviceGetGpuInstancePossiblePlacements
    assert code(possible, gpu(), 19, array, ctypes.byref(count)) == 7


def test_listing_instances_needs_room_and_an_array(a100: simulated.Node) -> None:
    """NULL is refused; a count below what exists is insufficient."""
    program.make(gpu(), 19)
    program.make(gpu(), 19)
    listing = pynvml.nvmlDeviceGetGpuInstances
    array, count = (pynvml.c_nvmlGpuInstance_t * 7)(), ctypes.c_uint(1)
    assert code(listing, gpu(), 19, None, ctypes.byref(count)) == 2
    assert code(listing, gpu(), 19, array, ctypes.byref(count)) == 7
    count.value = 7
    assert code(listing, gpu(), 19, array, ctypes.byref(count)) == 0
    assert count.value == 2


def test_a_text_buffer_too_short_is_insufficient_size(a100: simulated.Node) -> None:
    """The terminating zero counts."""
    text = ctypes.create_string_buffer(96)
    function, name = pynvml.nvmlLib.nvmlDeviceGetName, b"NVIDIA A100-SXM4-40GB"
    assert function(gpu(), text, ctypes.c_uint(len(name))) == 7
    assert function(gpu(), text, ctypes.c_uint(len(name) + 1)) == 0
    assert text.value == name


def test_arguments_are_checked_before_privilege() -> None:
    """An unprivileged caller learns first that his arguments are wrong."""
    with program.running("1xA30", privileged=False):
        create = pynvml.nvmlDeviceCreateGpuInstanceWithPlacement
        assert code(create, gpu(), 99, program.placement(0, 1)) == 2
        assert code(create, gpu(), 14, program.placement(4, 1)) == 2
        assert code(create, gpu(), 14, Placement(0, 1)) == 2
        assert code(create, gpu(), 14, program.placement(0, 1)) == 4
