from __future__ import annotations

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from tests.nvml.simulated import program
from tests.nvml.simulated.program import gpu, make


def test_the_same_slot_has_the_same_uuid_again(a100: simulated.Node) -> None:
    """UUIDs are reused by the next tenant, even of another profile in that window."""
    first = make(gpu(), 15, 2)
    uuid = program.uuid(first)
    program.unmake(first)
    again = make(gpu(), 15, 2)
    assert program.uuid(again) == uuid
    program.unmake(again)
    assert program.uuid(make(gpu(), 14, 2)) == uuid


def test_the_same_node_has_the_same_uuids_in_every_run() -> None:
    """GPU and MIG UUIDs follow from the description and the place alone."""
    seen = []
    for _ in range(2):
        with program.running("2xA30") as node:
            seen.append([node.create(0, "1g.6gb"), node.create(1, "1g.6gb"), node.gpus[0].uuid])
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 3


def test_indices_are_sparse_after_a_destroy(a100: simulated.Node) -> None:
    """A hole stays where a device was, until the next one fills it."""
    made = [make(gpu(), 19) for _ in range(3)]
    uuids = [program.uuid(one) for one in made]
    program.unmake(made[1])
    assert program.mig_devices(gpu()) == {0: uuids[0], 2: uuids[2]}
    filled = program.uuid(make(gpu(), 14))
    assert program.mig_devices(gpu()) == {0: uuids[0], 1: filled, 2: uuids[2]}


@pytest.mark.parametrize("privileged", [True, False])
def test_a_device_is_found_by_both_names(privileged: bool) -> None:
    """By UUID, and by the name of drivers before R470."""
    with program.running("2xA100-SXM4-40GB", privileged=privileged) as node:
        uuid = node.create(1, "2g.10gb")
        device = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        instance = pynvml.nvmlDeviceGetGpuInstanceId(device)
        compute = pynvml.nvmlDeviceGetComputeInstanceId(device)
        old = f"MIG-{node.gpus[1].uuid}/{instance}/{compute}"
        assert pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByUUID(old)) == uuid


def test_a_mig_device_knows_its_name_parent_size_and_ids(a100: simulated.Node) -> None:
    """The facts a monitor shows."""
    made = make(gpu(), 9, 4)
    device = program.mig_device(made)
    assert pynvml.nvmlDeviceGetName(device) == "NVIDIA A100-SXM4-40GB MIG 3g.20gb"
    assert pynvml.nvmlDeviceIsMigDeviceHandle(device).value == 1
    assert pynvml.nvmlDeviceIsMigDeviceHandle(gpu()).value == 0
    assert pynvml.nvmlDeviceGetGpuInstanceId(device) == 2
    assert pynvml.nvmlDeviceGetComputeInstanceId(device) == 0
    parent = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device)
    assert pynvml.nvmlDeviceGetUUID(parent) == a100.gpus[0].uuid
    attributes = pynvml.nvmlDeviceGetAttributes(device)
    assert (attributes.gpuInstanceSliceCount, attributes.computeInstanceSliceCount) == (3, 3)
    assert (attributes.memorySizeMB, attributes.multiprocessorCount) == (19968, 42)
    assert (attributes.sharedCopyEngineCount, attributes.sharedDecoderCount) == (3, 2)


@pytest.mark.parametrize(
    ("model", "count"),
    [("A30", 4), ("H200", 7), ("RTX PRO 6000 Blackwell Server Edition", 4)],
)
def test_there_are_as_many_indices_as_compute_slices(model: str, count: int) -> None:
    """And an index beyond them is an invalid argument, not a missing device."""
    with program.running(f"1x{model}"):
        assert pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu()) == count
        call = pynvml.nvmlDeviceGetMigDeviceHandleByIndex
        assert program.code(call, gpu(), count - 1) == 6
        assert program.code(call, gpu(), count) == 2
