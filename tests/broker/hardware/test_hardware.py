from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mig.broker.hardware.hardware import Hardware
from jupyter_mig.broker.hardware.inventory import parse
from jupyter_mig.broker.processes import boottime
from jupyter_mig.broker.seam import Uninterrupted
from jupyter_mig.core import actions, events
from jupyter_mig.core.geometry import Identity, Spec
from jupyter_mig.nvml import simulated
from tests.broker.households import Household, holder_of_pid, household

ONE_G = 19
ALICE = 1000
"""The profile id of 1g.5gb."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Household]:
    """One simulated A100 whose instances have device nodes."""
    with household(tmp_path, f"1xA100-SXM4-40GB?time_scale=0&root={tmp_path}") as found:
        yield found


def hands(home: Household, inventory: str = "dynamic", *, offers_unknown: bool = True) -> Hardware:
    """A broker's hands on the node."""
    return Hardware(home.driver, Uninterrupted(), parse(inventory), offers_unknown=offers_unknown)


def made(home: Household, hardware: Hardware) -> tuple[str, Identity]:
    """A GPU's UUID and an instance just created on it."""
    gpu_uuid = home.node.gpus[0].uuid
    event = hardware.carry_out(actions.CreateInstance("i1", Spec(gpu_uuid, ONE_G, 6), ALICE))
    assert isinstance(event, events.InstanceCreated)
    return gpu_uuid, event.identity


def test_an_instance_is_made_seen_and_destroyed(home: Household) -> None:
    """Each call comes back as its event, and the silicon agrees."""
    hardware = hands(home)
    gpu_uuid, identity = made(home, hardware)
    assert home.node.mig_uuids == (identity.mig_uuid,)
    seen = hardware.carry_out(actions.ObserveGpu(gpu_uuid))
    assert isinstance(seen, events.GpuObserved)
    assert seen.creates
    assert [found.identity for found in seen.instances] == [identity]
    gone = hardware.carry_out(actions.DestroyInstance("i1", gpu_uuid, identity))
    assert gone == events.InstanceDestroyed("i1")
    assert home.instances == 0


def test_a_creation_that_cannot_work_is_hopeless(home: Household) -> None:
    """No permission is hopeless; no room is not."""
    hardware = hands(home)
    spec = Spec(home.node.gpus[0].uuid, ONE_G, 6)
    home.node.inject(simulated.no_permission("nvmlDeviceCreateGpuInstanceWithPlacement"))
    refused = hardware.carry_out(actions.CreateInstance("i1", spec, ALICE))
    assert isinstance(refused, events.CreateFailed)
    assert refused.hopeless
    assert refused.error.startswith("no-permission: ")
    home.node.inject(simulated.no_room())
    full = hardware.carry_out(actions.CreateInstance("i2", spec, ALICE))
    assert isinstance(full, events.CreateFailed)
    assert not full.hopeless


def test_who_keeps_an_instance_from_going_is_named(home: Household) -> None:
    """A destroy that fails on In Use brings the pids along."""
    hardware = hands(home)
    gpu_uuid, identity = made(home, hardware)
    assert identity.mig_uuid is not None
    with home.node.cuda_client(identity.mig_uuid):
        event = hardware.carry_out(actions.DestroyInstance("i1", gpu_uuid, identity))
    assert isinstance(event, events.DestroyFailed)
    assert event.suspects == (os.getpid(),)


def test_a_gpu_that_is_gone_or_silent_is_a_failure(home: Household) -> None:
    """A lost GPU and one that was never there answer GpuFailed, not an empty observation."""
    hardware = hands(home)
    for gpu_uuid in (home.node.gpus[0].uuid, "GPU-imagined"):
        home.node.lose(0)
        event = hardware.carry_out(actions.ObserveGpu(gpu_uuid))
        assert isinstance(event, events.GpuFailed)
        assert event.gpu_uuid == gpu_uuid


def test_a_bug_in_the_driver_is_an_answer_too(home: Household) -> None:
    """Even what is no DriverError becomes the one event that the ledger waits for."""
    home.driver.close()
    event = hands(home).carry_out(actions.CreateInstance("i1", Spec("GPU-x", ONE_G, 0), ALICE))
    assert isinstance(event, events.CreateFailed)


def test_two_users_brokers_do_not_claim_one_instance(home: Household) -> None:
    """The second is refused until the first gives it back."""
    home.node.create(0, "1g.5gb")
    mine, theirs = hands(home, "static"), hands(home, "static")
    seen = mine.carry_out(actions.ObserveGpu(home.node.gpus[0].uuid))
    assert isinstance(seen, events.GpuObserved)
    gpu_uuid, identity = seen.gpu.uuid, seen.instances[0].identity
    claim = actions.ClaimInstance("i1", gpu_uuid, identity, ALICE)
    assert home.driver.access_paths(gpu_uuid, identity), "there is nothing to lock"
    assert mine.carry_out(claim) == events.InstanceClaimed("i1")
    assert isinstance(theirs.carry_out(claim), events.ClaimFailed)
    mine.carry_out(actions.ReturnInstance("i1", gpu_uuid, identity))
    assert theirs.carry_out(claim) == events.InstanceClaimed("i1")
    theirs.close()


def test_a_broker_that_comes_back_locks_beside_the_kernel(
    home: Household, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel's lock, which kept others out meanwhile, is no obstacle; a claim under way is."""
    home.node.create(0, "1g.5gb")
    back, theirs = hands(home, "static"), hands(home, "static")
    seen = back.carry_out(actions.ObserveGpu(home.node.gpus[0].uuid))
    assert isinstance(seen, events.GpuObserved)
    gpu_uuid, identity = seen.gpu.uuid, seen.instances[0].identity
    claim = actions.ClaimInstance("i1", gpu_uuid, identity, ALICE)
    again = actions.LockInstance("i1", gpu_uuid, identity)
    (node, *_) = home.driver.access_paths(gpu_uuid, identity)
    with node.open() as kernel:
        fcntl.flock(kernel, fcntl.LOCK_EX)
        back.carry_out(again)
        assert "held without a lock" in caplog.text
        assert back.locked == {}
        fcntl.flock(kernel, fcntl.LOCK_SH)
        assert isinstance(theirs.carry_out(claim), events.ClaimFailed)
        back.carry_out(again)
        assert str(node) in back.locked["i1"]
    assert isinstance(theirs.carry_out(claim), events.ClaimFailed)
    back.close()
    assert theirs.carry_out(claim) == events.InstanceClaimed("i1")
    theirs.close()


def test_an_instance_that_somebody_uses_is_not_claimed(home: Household) -> None:
    """A CUDA client on it, or a process with its node open; and no lock stays behind."""
    uuid = home.node.create(0, "1g.5gb")
    hardware = hands(home, "static")
    seen = hardware.carry_out(actions.ObserveGpu(home.node.gpus[0].uuid))
    assert isinstance(seen, events.GpuObserved)
    claim = actions.ClaimInstance("i1", seen.gpu.uuid, seen.instances[0].identity, ALICE)
    with home.node.cuda_client(uuid):
        assert isinstance(hardware.carry_out(claim), events.ClaimFailed)
    (node, *_) = home.driver.access_paths(claim.gpu_uuid, claim.identity)
    with node.open() as file, subprocess.Popen(["sleep", "60"], stdin=file) as user:
        event = hardware.carry_out(claim)
        assert isinstance(event, events.ClaimFailed)
        assert str(user.pid) in event.error
        look = actions.ObserveOccupants("i1", claim.gpu_uuid, claim.identity)
        assert hardware.carry_out(look) == events.OccupantsObserved("i1", (user.pid,))
        user.kill()
    assert hardware.carry_out(claim) == events.InstanceClaimed("i1")
    hardware.close()


def test_only_the_owners_newer_processes_are_signalled(home: Household) -> None:
    """Not those from before the grant but for the kernel itself, and not another user's."""
    hardware = hands(home)
    with subprocess.Popen(["sleep", "60"]) as old:
        time.sleep(0.05)  # start times are known to ten milliseconds
        granted_at = boottime()
        with subprocess.Popen(["sleep", "60"]) as new, subprocess.Popen(["true"]) as gone:
            gone.wait()
            pids = (old.pid, new.pid, gone.pid)
            uid = os.getuid()
            kill, term = actions.Signal.KILL, actions.Signal.TERM
            hardware.signal_occupants(
                actions.SignalOccupants("i", "GPU-x", Identity(1), uid + 1, pids, granted_at, kill)
            )
            assert new.poll() is None
            hardware.signal_occupants(
                actions.SignalOccupants("i", "GPU-x", Identity(1), uid, pids, granted_at, term)
            )
            assert new.wait(10) == -signal.SIGTERM
        assert old.poll() is None
        kernel = holder_of_pid(old.pid)
        hardware.signal_occupants(
            actions.SignalOccupants("i", "GPU-x", Identity(1), uid, pids, granted_at, term, kernel)
        )
        assert old.wait(10) == -signal.SIGTERM


def test_instances_of_a_lost_log_are_not_offered(home: Household) -> None:
    """The observation says so."""
    event = hands(home, "static", offers_unknown=False).carry_out(
        actions.ObserveGpu(home.node.gpus[0].uuid)
    )
    assert isinstance(event, events.GpuObserved)
    assert not event.offers_unknown


def test_what_one_broker_makes_another_does_not_hand_out(home: Household) -> None:
    """It is locked from when it is made until it is gone, and whoever looks counts it as taken."""
    maker, finder = hands(home), hands(home, "static")
    gpu_uuid, identity = made(home, maker)
    claim = actions.ClaimInstance("i9", gpu_uuid, identity, ALICE)
    refused = finder.carry_out(claim)
    assert isinstance(refused, events.ClaimFailed)
    assert refused.error.startswith("in-use: The slice cannot be locked")
    assert maker.carry_out(actions.DestroyInstance("i1", gpu_uuid, identity)) == (
        events.InstanceDestroyed("i1")
    )
    gone = finder.carry_out(claim)
    assert isinstance(gone, events.ClaimFailed)
    assert "No such file" in gone.error


def test_an_instance_grabbed_while_it_was_made_goes_again(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another broker may find it first: then it is not ours to give, and does not stay."""
    maker, finder = hands(home), hands(home, "static")
    gpu_uuid = home.node.gpus[0].uuid
    create = home.driver.create

    def grabbed(spec: Spec) -> Identity:
        identity = create(spec)
        claim = actions.ClaimInstance("i9", gpu_uuid, identity, ALICE)
        assert finder.carry_out(claim) == events.InstanceClaimed("i9")
        return identity

    monkeypatch.setattr(home.driver, "create", grabbed)
    answer = maker.carry_out(actions.CreateInstance("i1", Spec(gpu_uuid, ONE_G, 6), ALICE))
    assert isinstance(answer, events.CreateFailed)
    assert (answer.hopeless, answer.left_there) == (False, False)
    assert home.instances == 0
    finder.carry_out(actions.ReturnInstance("i9", gpu_uuid, Identity(0)))
    home.node.inject(simulated.in_use(times=None))
    answer = maker.carry_out(actions.CreateInstance("i1", Spec(gpu_uuid, ONE_G, 6), ALICE))
    assert isinstance(answer, events.CreateFailed)
    assert answer.left_there, "it is there, and ours to destroy"
    assert home.instances == 1
    finder.close()
