from __future__ import annotations

import threading
from collections.abc import Callable

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated import Fault
from tests.nvml.simulated import program
from tests.nvml.simulated.program import code, gpu, make


def test_in_use_for_a_moment_after_the_compute_instance_went(a100: simulated.Node) -> None:
    """The half-way destroy that real drivers show: retrying gets through."""
    made = make(gpu(), 19)
    a100.inject(simulated.in_use(times=2))
    pynvml.nvmlComputeInstanceDestroy(made.compute_instance)
    codes = [code(pynvml.nvmlGpuInstanceDestroy, made.gpu_instance) for _ in range(3)]
    assert codes == [19, 19, 0]
    assert a100.faults == ()


def test_in_use_for_good_until_it_is_cleared(a100: simulated.Node) -> None:
    """An instance that will not go, for a broker to condemn."""
    made = make(gpu(), 19)
    pynvml.nvmlComputeInstanceDestroy(made.compute_instance)
    a100.inject(simulated.in_use(times=None))
    assert {code(pynvml.nvmlGpuInstanceDestroy, made.gpu_instance) for _ in range(20)} == {19}
    a100.clear_faults()
    assert code(pynvml.nvmlGpuInstanceDestroy, made.gpu_instance) == 0


def test_a_fault_can_be_aimed_at_one_instance_of_one_gpu() -> None:
    """Others on the same GPU, and the same id on another, are not concerned."""
    with program.running("2xA30") as node:
        slices = [make(gpu(0), 14, 0), make(gpu(0), 14, 1), make(gpu(1), 14, 2)]
        ids = [program.instance_id(one.gpu_instance) for one in slices]
        assert ids == [3, 4, 3]
        node.inject(simulated.in_use(times=None, gpu=0, gpu_instance=3))
        for one in slices:
            pynvml.nvmlComputeInstanceDestroy(one.compute_instance)
        codes = [code(pynvml.nvmlGpuInstanceDestroy, one.gpu_instance) for one in slices]
        assert codes == [19, 0, 0]


def test_a_fault_of_one_gpu_meets_who_looks_for_it() -> None:
    """By index, by UUID in either form (of a slice on it, too) and by bus id. Who looks for its
    neighbour does not meet it.
    """
    with program.running("2xA30") as node:
        slices = [make(gpu(index), 14) for index in (0, 1)]
        migs = [pynvml.nvmlDeviceGetUUID(program.mig_device(one)) for one in slices]
        buses = [pynvml.nvmlDeviceGetPciInfo(gpu(index)).busId for index in (0, 1)]
        uuids = [one.uuid for one in node.gpus]
        node.inject(Fault("nvmlDeviceGetHandleBy*", 999, None, 0.0, 1))
        for look, whats in {
            pynvml.nvmlDeviceGetHandleByIndex: (0, 1),
            pynvml.nvmlDeviceGetHandleByUUID: uuids,
            pynvml.nvmlDeviceGetHandleByPciBusId: buses,
        }.items():
            assert [code(look, what) for what in whats] == [0, 999], look.__name__
        assert [code(pynvml.nvmlDeviceGetHandleByUUID, uuid) for uuid in migs] == [0, 999]
        by_struct, kind = pynvml.nvmlDeviceGetHandleByUUIDV, pynvml.NVML_UUID_TYPE_ASCII
        assert [code(by_struct, uuid, kind) for uuid in uuids] == [0, 999]
        assert code(pynvml.nvmlDeviceGetHandleByIndex, 2) == 2, "a wrong index is no GPU's"


def test_no_room_meets_both_ways_of_creating(a100: simulated.Node) -> None:
    """Insufficient Resources though there is room, with and without a placement."""
    a100.inject(simulated.no_room(times=2))
    at = program.placement(0, 1)
    assert code(pynvml.nvmlDeviceCreateGpuInstance, gpu(), 19) == 23
    assert code(pynvml.nvmlDeviceCreateGpuInstanceWithPlacement, gpu(), 19, at) == 23
    assert code(pynvml.nvmlDeviceCreateGpuInstanceWithPlacement, gpu(), 19, at) == 0


@pytest.mark.parametrize("number", [4, 15, 16, 18, 27, 999])
def test_any_code_on_any_function(a100: simulated.Node, number: int) -> None:
    """The next call of a function ends with the code asked for, the one after does not."""
    device = gpu()
    a100.inject(Fault("nvmlDeviceGetUUID", number))
    assert code(pynvml.nvmlDeviceGetUUID, device) == number
    assert code(pynvml.nvmlDeviceGetUUID, device) == 0


def test_initialisation_can_fail_as_without_a_driver() -> None:
    """Driver Not Loaded, and then every call is Uninitialized."""
    with simulated.installed("1xA30", time_scale=0) as node:
        node.inject(Fault("nvmlInitWithFlags", simulated.Code.DRIVER_NOT_LOADED))
        assert code(pynvml.nvmlInit) == 9
        assert code(pynvml.nvmlDeviceGetCount) == 1
        assert code(pynvml.nvmlInit) == 0


def test_faults_compose_in_the_order_they_were_set(a100: simulated.Node) -> None:
    """The first that ends the call wins; those behind it keep their count."""
    a100.inject(simulated.no_permission("nvmlDeviceCreate*"), simulated.no_room(times=1, gpu=0))
    codes = [code(pynvml.nvmlDeviceCreateGpuInstance, gpu(), 19) for _ in range(3)]
    assert codes == [4, 23, 0]


def test_wrong_arguments_do_not_spend_a_fault(a100: simulated.Node) -> None:
    """A call that would have been refused anyway has not met it."""
    a100.inject(Fault("nvmlDeviceGetIndex", 999))
    assert pynvml.nvmlLib.nvmlDeviceGetIndex(gpu(), None) == 2
    assert code(pynvml.nvmlDeviceGetIndex, gpu()) == 999


def test_a_slow_call_takes_its_time_and_then_works(
    a100: simulated.Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real seconds, whatever the node's time scale; two slow faults add up."""
    slept: list[float] = []
    monkeypatch.setattr("jupyter_mig.nvml.simulated.machine.time.sleep", slept.append)
    a100.inject(simulated.slow("nvmlDeviceGetUUID", 2.5), simulated.slow("nvml*UUID", 0.5))
    assert code(pynvml.nvmlDeviceGetUUID, gpu()) == 0
    assert slept == [3.0]


def test_a_lost_gpu_answers_15_to_everything_until_it_is_back() -> None:
    """Its neighbour is not concerned, and what was on it is still there."""
    with program.running("2xA30") as node:
        made = make(gpu(0), 14)
        device, mig = gpu(0), program.mig_device(made)
        node.lose(0)
        assert {
            code(pynvml.nvmlDeviceGetUUID, device),
            code(pynvml.nvmlDeviceGetMigMode, device),
            code(pynvml.nvmlDeviceCreateGpuInstance, device, 14),
            code(pynvml.nvmlDeviceGetMemoryInfo, mig),
            code(pynvml.nvmlGpuInstanceGetInfo, made.gpu_instance),
            code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance),
            code(pynvml.nvmlDeviceGetHandleByIndex, 0),
            code(pynvml.nvmlDeviceGetHandleByUUID, node.gpus[0].uuid),
        } == {15}
        assert pynvml.nvmlDeviceGetCount() == 2
        assert code(pynvml.nvmlDeviceCreateGpuInstance, gpu(1), 14) == 0
        node.recover(0)
        assert code(pynvml.nvmlDeviceGetUUID, mig) == 0
        node.lose(0)
        node.reset(0)
        assert code(pynvml.nvmlDeviceGetUUID, mig) == 6
        assert node.gpus[0].instances == ()


def test_a_gpu_that_needs_a_reset_answers_16_until_it_had_one() -> None:
    """Recovering is not enough to bring its instances back: only the reset takes them along."""
    with program.running("2xA30") as node:
        made = make(gpu(0), 14)
        device, mig = gpu(0), program.mig_device(made)
        node.require_reset(0)
        assert (node.gpus[0].reset_required, node.gpus[0].lost) == (True, False)
        assert {
            code(pynvml.nvmlDeviceGetMigMode, device),
            code(pynvml.nvmlDeviceCreateGpuInstance, device, 14),
            code(pynvml.nvmlDeviceGetMemoryInfo, mig),
            code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance),
        } == {16}
        with pytest.raises(simulated.Returned, match="16 GPU requires reset"):
            node.create(0, "1g.6gb")
        assert code(pynvml.nvmlDeviceCreateGpuInstance, gpu(1), 14) == 0
        node.reset(0)
        assert code(pynvml.nvmlDeviceGetUUID, mig) == 6
        assert code(pynvml.nvmlDeviceCreateGpuInstance, device, 14) == 0


@pytest.mark.parametrize(
    ("act", "number"),
    [(simulated.Node.remove_driver, 9), (simulated.Node.upgrade_driver, 18)],
)
def test_without_its_driver_the_library_says_so_to_everything(
    a100: simulated.Node, act: Callable[[simulated.Node], None], number: int
) -> None:
    """A session that is open, one that begins, and after the driver is back nothing is lost."""
    made = make(gpu(), 19)
    device = gpu()
    act(a100)
    assert {
        code(pynvml.nvmlInit),
        code(pynvml.nvmlDeviceGetCount),
        code(pynvml.nvmlSystemGetDriverVersion),
        code(pynvml.nvmlDeviceGetUUID, device),
        code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance),
    } == {number}
    a100.restore_driver()
    assert code(pynvml.nvmlDeviceGetUUID, device) == 0
    program.unmake(made)


def test_an_instance_can_be_held_by_nobody_listed(a100: simulated.Node) -> None:
    """As by a monitor's leaked handle: no process is there, the compute instance goes, it stays."""
    made = make(gpu(), 19)
    held = a100.hold(program.uuid(made))
    assert pynvml.nvmlDeviceGetComputeRunningProcesses(gpu()) == []
    assert code(pynvml.nvmlComputeInstanceDestroy, made.compute_instance) == 0
    assert {code(pynvml.nvmlGpuInstanceDestroy, made.gpu_instance) for _ in range(20)} == {19}
    held.release()
    held.release()
    assert code(pynvml.nvmlGpuInstanceDestroy, made.gpu_instance) == 0


def test_a_hold_can_be_over_by_the_clock(
    a100: simulated.Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Use for ten seconds, not for so many calls."""
    clock = [100.0]
    monkeypatch.setattr("jupyter_mig.nvml.simulated.node.time.monotonic", lambda: clock[0])
    made = make(gpu(), 19)
    a100.hold(program.uuid(made), seconds=10)
    pynvml.nvmlComputeInstanceDestroy(made.compute_instance)
    clock[0] = 109.9
    assert code(pynvml.nvmlGpuInstanceDestroy, made.gpu_instance) == 19
    clock[0] = 110.1
    assert code(pynvml.nvmlGpuInstanceDestroy, made.gpu_instance) == 0


def test_a_reset_takes_holds_along(a100: simulated.Node) -> None:
    """The next instance in the slot is nobody's."""
    made = make(gpu(), 19)
    a100.hold(program.uuid(made))
    a100.reset(0)
    program.unmake(make(gpu(), 19))


def test_counts_hold_when_threads_call_at_once(a100: simulated.Node) -> None:
    """A fault for ten calls meets ten of a hundred."""
    device = gpu()
    a100.inject(Fault("nvmlDeviceGetIndex", 999, times=10))
    codes: list[int] = []

    def ask() -> None:
        codes.extend(code(pynvml.nvmlDeviceGetIndex, device) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (codes.count(999), codes.count(0)) == (10, 90)
