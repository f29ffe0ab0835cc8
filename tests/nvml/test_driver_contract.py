"""What every driver keeps to, on every kind of node.

``READABLE`` are nodes on which a test only looks, ``WRITABLE`` those on which it may create and
destroy. Another node is another parameter. In a process whose NVML is the simulator's shared
library (``test_shared_library.py`` starts one) the nodes are behind that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_mig import errors
from jupyter_mig.core.geometry import Gpu, Identity, Instance, Profile, Spec
from jupyter_mig.nvml.driver import open_driver
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.nvml.simulated import known_models
from jupyter_mig.nvml.simulated.exported import NODE_VARIABLE, STATE_VARIABLE
from tests.nvml.nodes import THROUGH_LIBRARY

Open = Callable[[str], HardwarePort]

BEHIND_LIBRARY = "library:"
WRITABLE = [
    f"{BEHIND_LIBRARY if THROUGH_LIBRARY else 'simulated:'}{node}"
    for node in (
        *(f"1x{model}?time_scale=0" for model in known_models()),
        "1xA100-SXM4-80GB?time_scale=0&driver=535",
        "1xGB200?time_scale=0&driver=575",
    )
]
READABLE = [*WRITABLE, *([] if THROUGH_LIBRARY else ["nvml"])]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the driver of a name; skips, saying why, where the machine has no such hardware."""
    with ExitStack() as stack:

        def open_it(name: str) -> HardwarePort:
            if name.startswith(BEHIND_LIBRARY):
                monkeypatch.setenv(NODE_VARIABLE, name.removeprefix(BEHIND_LIBRARY))
                monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "silicon.json"))
                name = "nvml"
            try:
                return stack.enter_context(closing(open_driver(name)))
            except errors.NoDriver as error:
                pytest.skip(f"No real NVML here to hold the driver against: {error.message}")

        yield open_it


@pytest.fixture(params=READABLE)
def readable(request: pytest.FixtureRequest, opened: Open) -> HardwarePort:
    """A driver on some node."""
    return opened(request.param)


@pytest.fixture(params=WRITABLE)
def driver(request: pytest.FixtureRequest, opened: Open) -> HardwarePort:
    """A driver on a node with one empty GPU that is ours."""
    return opened(request.param)


@pytest.fixture
def gpu(driver: HardwarePort) -> Gpu:
    """The one GPU of the node."""
    (only,) = driver.gpus()
    return only


def expected(gpu: Gpu, profile: Profile, start: int, identity: Identity) -> Instance:
    """The observation of an idle instance just made."""
    return Instance(
        Spec(gpu.uuid, profile.profile_id, start), identity, profile.name, profile.memory_bytes
    )


@pytest.mark.parametrize("name", READABLE)
def test_the_driver_names_itself(name: str, opened: Open) -> None:
    """Simulation is never mistaken for hardware, wherever it was loaded from."""
    driver = opened(name)
    assert driver.simulated == (name != "nvml")
    assert driver.name == ("nvml" if name.startswith(BEHIND_LIBRARY) else name)


def test_gpus_are_described(readable: HardwarePort) -> None:
    """UUIDs and minors tell GPUs apart; only a GPU in MIG mode has profiles."""
    gpus = readable.gpus()
    assert gpus
    assert len({gpu.uuid for gpu in gpus}) == len({gpu.minor for gpu in gpus}) == len(gpus)
    for gpu in gpus:
        assert gpu.uuid.startswith("GPU-")
        assert gpu.name
        assert gpu.memory_bytes > 0
        assert gpu.mig_enabled or not gpu.geometry.profiles


def test_profiles_are_told_apart_by_id_and_by_name(readable: HardwarePort) -> None:
    """Neither a second id nor a second name hides a profile."""
    for gpu in readable.gpus():
        geometry = gpu.geometry
        assert len(geometry.by_id) == len(geometry.by_name) == len(geometry.profiles)
        for profile in geometry.profiles:
            assert profile.name.startswith(f"{profile.compute_slices}g.")
            assert 0 < profile.memory_bytes <= gpu.memory_bytes
            assert all(start + profile.width <= geometry.units for start in profile.starts)


def test_looking_twice_shows_the_same(readable: HardwarePort) -> None:
    """Observation changes nothing."""
    gpus = readable.gpus()
    seen = [readable.instances(gpu.uuid) for gpu in gpus]
    assert readable.gpus() == gpus
    assert [readable.instances(gpu.uuid) for gpu in gpus] == seen


def test_a_gpu_that_is_not_there_is_not_found(readable: HardwarePort) -> None:
    """An unknown UUID is an error, not an empty GPU."""
    with pytest.raises((errors.NotFound, errors.InvalidArgument)):
        readable.instances("GPU-00000000-0000-0000-0000-000000000000")


def test_every_profile_goes_everywhere_it_may(driver: HardwarePort, gpu: Gpu) -> None:
    """Each profile at each start is made, seen exactly there, read, and destroyed."""
    assert gpu.geometry.profiles
    for profile in gpu.geometry.profiles:
        assert profile.starts
        for start in profile.starts:
            identity = driver.create(Spec(gpu.uuid, profile.profile_id, start))
            assert driver.instances(gpu.uuid) == (expected(gpu, profile, start, identity),)
            used, total = driver.memory(identity)
            assert 0 <= used < total == profile.memory_bytes
            assert driver.occupants(gpu.uuid, identity) == ()
            driver.destroy(gpu.uuid, identity)
            assert driver.instances(gpu.uuid) == ()


def test_a_full_gpu_is_seen_whole(driver: HardwarePort, gpu: Gpu) -> None:
    """As many of a profile as there are starts live side by side, each under its own identity."""
    profile = max(gpu.geometry.profiles, key=lambda profile: profile.max_count)
    made = {
        driver.create(Spec(gpu.uuid, profile.profile_id, start)): start for start in profile.starts
    }
    seen = {instance.identity: instance.spec.start for instance in driver.instances(gpu.uuid)}
    assert seen == made
    assert len({identity.mig_uuid for identity in made}) == len(made) == profile.max_count


def test_an_impossible_start_is_refused_with_those_possible(driver: HardwarePort, gpu: Gpu) -> None:
    """The error lists where the profile may start, and nothing is made."""
    profile = max(gpu.geometry.profiles, key=lambda profile: profile.width)
    for start in (1, gpu.geometry.units, None):
        with pytest.raises(errors.InvalidArgument, match="It can start at: 0"):
            driver.create(Spec(gpu.uuid, profile.profile_id, start))
    assert driver.instances(gpu.uuid) == ()


def test_an_unknown_profile_is_refused(driver: HardwarePort, gpu: Gpu) -> None:
    """A profile id that the GPU lacks makes nothing."""
    with pytest.raises((errors.InvalidArgument, errors.NotSupported)):
        driver.create(Spec(gpu.uuid, 999, 0))
    assert driver.instances(gpu.uuid) == ()


def test_a_taken_place_is_refused(driver: HardwarePort, gpu: Gpu) -> None:
    """Two instances never share a memory slice; the first one stays."""
    smallest = min(gpu.geometry.profiles, key=lambda profile: profile.width)
    whole = max(gpu.geometry.profiles, key=lambda profile: profile.width)
    identity = driver.create(Spec(gpu.uuid, smallest.profile_id, smallest.starts[-1]))
    with pytest.raises(errors.InsufficientResources):
        driver.create(Spec(gpu.uuid, whole.profile_id, 0))
    assert [instance.identity for instance in driver.instances(gpu.uuid)] == [identity]


def test_destroying_again_is_fine(driver: HardwarePort, gpu: Gpu) -> None:
    """A GPU instance that is gone already is a success, and its memory is nowhere."""
    profile = gpu.geometry.profiles[0]
    identity = driver.create(Spec(gpu.uuid, profile.profile_id, profile.starts[0]))
    driver.destroy(gpu.uuid, identity)
    driver.destroy(gpu.uuid, identity)
    assert driver.occupants(gpu.uuid, identity) == ()
    with pytest.raises(errors.NotFound):
        driver.memory(identity)


def test_the_next_tenant_of_a_slot_is_readable(driver: HardwarePort, gpu: Gpu) -> None:
    """A MIG UUID is used again; handles kept from the last tenant do not get in the way."""
    profile = gpu.geometry.profiles[0]
    spec = Spec(gpu.uuid, profile.profile_id, profile.starts[0])
    first = driver.create(spec)
    driver.memory(first)
    driver.destroy(gpu.uuid, first)
    second = driver.create(spec)
    assert second == first
    assert driver.memory(second)[1] == profile.memory_bytes


def test_another_instance_under_the_same_id_is_left_alone(driver: HardwarePort, gpu: Gpu) -> None:
    """Destroy checks that the GPU instance is the one meant."""
    profile = gpu.geometry.profiles[0]
    identity = driver.create(Spec(gpu.uuid, profile.profile_id, profile.starts[0]))
    for meant in (
        Identity(identity.gi_id, identity.ci_id, "MIG-00000000-0000-0000-0000-000000000000"),
        Identity(identity.gi_id, 5, identity.mig_uuid),
    ):
        with pytest.raises(errors.NotFound, match="left alone"):
            driver.destroy(gpu.uuid, meant)
    assert [instance.identity for instance in driver.instances(gpu.uuid)] == [identity]


def test_a_driver_may_be_closed_twice(driver: HardwarePort) -> None:
    """After closing, calls say that there is no driver; counters kept are let go of before."""
    with suppress(errors.NotSupported):
        profile = driver.gpus()[0].geometry.profiles[0]
        gpu_uuid = driver.gpus()[0].uuid
        spec = Spec(gpu_uuid, profile.profile_id, profile.starts[0])
        driver.keep_counters(gpu_uuid, driver.create(spec))
    driver.close()
    driver.close()
    with pytest.raises(errors.NoDriver):
        driver.gpus()


def test_a_slice_tells_how_busy_it_was_where_the_gpu_counts(driver: HardwarePort, gpu: Gpu) -> None:
    """Data centre boards since Hopper: per cent between two looks. Others say that they do not."""
    profile = gpu.geometry.profiles[0]
    identity = driver.create(Spec(gpu.uuid, profile.profile_id, profile.starts[0]))
    if not gpu.name.removeprefix("NVIDIA ").startswith(("H", "GH", "B", "GB")):
        with pytest.raises(errors.NotSupported):
            driver.keep_counters(gpu.uuid, identity)
        return
    earlier, later = (driver.keep_counters(gpu.uuid, identity) for _ in range(2))
    found = driver.percent_between(gpu.uuid, earlier, later)
    assert found.keys() >= {"sm", "graphics"}
    assert all(0 <= percent <= 100 for percent in found.values())
    for number in (earlier, later, earlier):
        driver.forget_counters(gpu.uuid, number)


def test_counters_of_another_instance_are_not_mixed_in(driver: HardwarePort, gpu: Gpu) -> None:
    """One made anew in the same slot has the same ids and UUID, and is told from the former."""
    profile = gpu.geometry.profiles[0]
    spec = Spec(gpu.uuid, profile.profile_id, profile.starts[0])
    former = driver.create(spec)
    try:
        earlier = driver.keep_counters(gpu.uuid, former)
    except errors.NotSupported:
        return
    driver.destroy(gpu.uuid, former)
    with pytest.raises(errors.NotFound):
        driver.keep_counters(gpu.uuid, former)
    assert driver.create(spec) == former
    with pytest.raises(errors.NotFound, match="anew"):
        driver.percent_between(gpu.uuid, earlier, driver.keep_counters(gpu.uuid, former))


def test_power_and_temperature_are_the_boards(readable: HardwarePort) -> None:
    """They are asked of the GPU, in watts and degrees."""
    for gpu in readable.gpus():
        assert 0 < readable.power_watts(gpu.uuid) < 2000
        assert 0 < readable.temperature_celsius(gpu.uuid) < 120


class Tenancy:
    """An account of what is alive on one GPU, kept beside the driver."""

    def __init__(self, driver: HardwarePort) -> None:
        self.driver = driver
        (self.gpu,) = driver.gpus()
        self.alive: dict[Identity, Spec] = {}

    def fill(self, profile: Profile, start: int) -> None:
        """Try to make an instance; it must be refused where another one is."""
        taken = [
            self.gpu.geometry.by_id[spec.profile_id].window(spec.start or 0)
            for spec in self.alive.values()
        ]
        spec = Spec(self.gpu.uuid, profile.profile_id, start)
        try:
            identity = self.driver.create(spec)
        except errors.InsufficientResources:
            return
        assert not any(profile.window(start) & window for window in taken)
        assert identity not in self.alive
        self.alive[identity] = spec

    def empty(self, identity: Identity) -> None:
        """Destroy an instance."""
        self.driver.destroy(self.gpu.uuid, identity)
        del self.alive[identity]

    def check(self) -> None:
        """Compare with what the driver sees."""
        seen = self.driver.instances(self.gpu.uuid)
        assert {one.identity: one.spec for one in seen} == self.alive


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_what_was_made_and_not_destroyed_is_what_is_seen(
    driver: HardwarePort, data: st.DataObject
) -> None:
    """Whatever the order of creating and destroying, observation tells the sum of it."""
    tenancy = Tenancy(driver)
    try:
        for _ in range(data.draw(st.integers(1, 8))):
            if data.draw(st.booleans()) and tenancy.alive:
                tenancy.empty(data.draw(st.sampled_from(list(tenancy.alive))))
            else:
                profile = data.draw(st.sampled_from(tenancy.gpu.geometry.profiles))
                tenancy.fill(profile, data.draw(st.sampled_from(profile.starts)))
            tenancy.check()
    finally:
        for identity in list(tenancy.alive):
            tenancy.empty(identity)
