from __future__ import annotations

import os
from collections.abc import Sequence

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated import Code
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu, make

NODE = pynvml.NVML_AFFINITY_SCOPE_NODE
SOCKET = pynvml.NVML_AFFINITY_SCOPE_SOCKET
HERE = frozenset(range(os.sysconf("SC_NPROCESSORS_CONF")))
WORDS = len(HERE) // 64 + 1


def bits(mask: Sequence[int]) -> set[int]:
    """The numbers whose bits are set."""
    return {
        64 * word + bit for word in range(len(mask)) for bit in range(64) if mask[word] >> bit & 1
    }


def near(index: int, scope: int = NODE) -> set[int]:
    """The CPUs near a GPU."""
    return bits(pynvml.nvmlDeviceGetCpuAffinityWithinScope(gpu(index), WORDS, scope))


def test_all_cpus_named_exist_here(a100: simulated.Node) -> None:
    """A kernel shall run on them; the old call and the wider scope say the same."""
    assert near(0)
    assert near(0) <= HERE
    assert bits(pynvml.nvmlDeviceGetCpuAffinity(gpu(), WORDS)) == near(0) == near(0, SOCKET)


def test_pretended_nodes_share_out_the_cpus() -> None:
    """Half of the GPUs are near each of two, whose CPUs are all there are."""
    with program.running("4xA30?numa=2"):
        assert near(0) == near(1)
        assert near(2) == near(3)
        assert near(0) | near(2) == near(0) ^ near(2) or len(os.sched_getaffinity(0)) == 1
        numbers = [pynvml.nvmlDeviceGetMemoryAffinity(gpu(one), 1, NODE)[0] for one in range(4)]
        assert numbers == [0b01, 0b01, 0b10, 0b10]


def test_more_nodes_than_cpus_have_one_each() -> None:
    """None is without any."""
    with program.running("32xA30?numa=64"):
        assert all(len(near(one)) >= 1 for one in range(32))


def test_a_node_that_cannot_tell() -> None:
    """Not Supported."""
    with program.running("1xA30?numa=0"):
        assert code(pynvml.nvmlDeviceGetCpuAffinity, gpu(), WORDS) == Code.NOT_SUPPORTED
        assert code(pynvml.nvmlDeviceGetMemoryAffinity, gpu(), 1, NODE) == Code.NOT_SUPPORTED


def test_wrong_arguments(a100: simulated.Node) -> None:
    """No room, no such scope; and a slice is not asked."""
    ask = pynvml.nvmlDeviceGetCpuAffinityWithinScope
    assert code(ask, gpu(), 0, NODE) == Code.INVALID_ARGUMENT
    assert code(ask, gpu(), WORDS, 7) == Code.INVALID_ARGUMENT
    slice_ = program.mig_device(make(gpu(), 19))
    assert code(ask, slice_, WORDS, NODE) == Code.NOT_SUPPORTED


@pytest.mark.parametrize("words", [1, 128])
def test_bits_for_which_there_is_no_room_are_left_out(words: int, a100: simulated.Node) -> None:
    """And those beyond the last CPU are clear."""
    mask = pynvml.nvmlDeviceGetCpuAffinityWithinScope(gpu(), words, NODE)
    assert bits(mask) == {cpu for cpu in near(0) if cpu < 64 * words}
