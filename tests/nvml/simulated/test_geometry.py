from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from operator import contains

import pynvml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated.geometry import gpu_instance_id
from jupyter_mig.nvml.simulated.models import Model, Profile
from tests.nvml.simulated import program

A100 = "1xA100-SXM4-40GB"
RTX = "1xRTX PRO 6000 Blackwell Server Edition"
MODELS = simulated.known_models()


def starts_of(spec: str, names: list[str]) -> list[int]:
    """Where the driver puts these profiles, made one after the other on one GPU."""
    with program.running(spec):
        device = program.gpu()
        ids = {name: info.id for name, info in program.profiles(device).items()}
        return [program.start(program.make(device, ids[name]).gpu_instance) for name in names]


@pytest.mark.parametrize(
    ("names", "starts"),
    [
        (["1g.5gb"] * 7, [6, 4, 5, 0, 1, 2, 3]),
        (["2g.10gb"] * 3, [4, 0, 2]),
        (["3g.20gb"] * 2, [4, 0]),
        (["1g.10gb"] * 4, [6, 4, 0, 2]),
        (["1g.5gb", "2g.10gb", "4g.20gb"], [6, 4, 0]),
        (["3g.20gb", "1g.5gb", "2g.10gb", "1g.5gb"], [4, 0, 2, 1]),
    ],
)
def test_the_driver_places_as_in_the_transcripts(names: list[str], starts: list[int]) -> None:
    """Without a placement an A100 fills up in the documented orders."""
    assert starts_of(A100, names) == starts


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (A100, ["3g.20gb", "3g.20gb"]),
        (A100, ["4g.20gb", "3g.20gb"]),
        (A100, ["2g.10gb", "2g.10gb", "2g.10gb", "1g.5gb"]),
        (A100, ["3g.20gb", "2g.10gb", "1g.5gb", "1g.5gb"]),
        ("1xA100-SXM4-80GB", ["1g.10gb"] * 7),
        ("1xH100 80GB HBM3", ["1g.10gb"] * 7),
        ("1xH200", ["1g.35gb"] * 4),
        ("1xA30", ["1g.6gb"] * 4),
        ("1xA30", ["2g.12gb", "1g.6gb", "1g.6gb"]),
        ("1xA30", ["4g.24gb"]),
        (RTX, ["1g.24gb"] * 4),
        (RTX, ["2g.48gb", "1g.24gb", "1g.24gb"]),
        (RTX, ["1g.24gb+gfx", "1g.24gb", "2g.48gb+gfx"]),
        (RTX, ["4g.96gb"]),
    ],
)
def test_these_sets_fill_a_gpu(spec: str, names: list[str]) -> None:
    """Each set can be made in this order, and then nothing more of its smallest profile."""
    with program.running(spec):
        device = program.gpu()
        ids = {name: info.id for name, info in program.profiles(device).items()}
        for name in names:
            program.make(device, ids[name])
        assert pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(device, ids[names[-1]]) == 0
        assert program.code(pynvml.nvmlDeviceCreateGpuInstance, device, ids[names[-1]]) == 23


def test_default_placement_can_strand_capacity() -> None:
    """Two 1g and a 2g leave no room for a 3g, though 3g first would have fitted."""
    with program.running(A100):
        device = program.gpu()
        for profile_id in (19, 19, 14):
            program.make(device, profile_id)
        assert program.code(pynvml.nvmlDeviceCreateGpuInstance, device, 9) == 23
    assert starts_of(A100, ["3g.20gb", "2g.10gb", "1g.5gb", "1g.5gb"])


def test_nothing_fits_beside_two_3g(a100: simulated.Node) -> None:
    """Two 3g use all memory; the compute slice left over is of no use."""
    device = program.gpu()
    program.make(device, 9)
    program.make(device, 9)
    assert [
        pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(device, info.id)
        for info in program.profiles(device).values()
    ] == [0] * 7


def test_a_3g_at_0_leaves_three_1g_and_at_4_four(a100: simulated.Node) -> None:
    """The two halves are not alike: memory slice 7 has no 1g."""
    device = program.gpu()
    at_0 = program.make(device, 9, 0)
    assert pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(device, 19) == 3
    program.unmake(at_0)
    program.make(device, 9, 4)
    assert pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(device, 19) == 4


@pytest.mark.parametrize(
    ("spec", "first", "excluded", "still_fits"),
    [
        (A100, "1g.5gb+me", ["1g.5gb+me", "7g.40gb"], ["1g.5gb", "1g.10gb", "3g.20gb"]),
        ("1xA30", "1g.6gb+me", ["1g.6gb+me", "2g.12gb+me"], ["1g.6gb", "2g.12gb"]),
        ("1xA30", "2g.12gb+me", ["1g.6gb+me", "2g.12gb+me"], ["1g.6gb", "2g.12gb"]),
        (
            RTX,
            "1g.24gb+me.all",
            ["1g.24gb", "1g.24gb+me", "1g.24gb+gfx", "2g.48gb", "2g.48gb+me.all"],
            ["1g.24gb-me", "2g.48gb-me"],
        ),
        (
            RTX,
            "1g.24gb",
            ["1g.24gb+me.all", "2g.48gb+me.all"],
            ["1g.24gb+me", "2g.48gb", "1g.24gb-me"],
        ),
        (RTX, "1g.24gb-me", [], ["1g.24gb+me.all", "2g.48gb+me.all", "1g.24gb+gfx"]),
        (
            RTX,
            "2g.48gb+me.all",
            ["1g.24gb+gfx", "1g.24gb+me", "1g.24gb+me.all", "2g.48gb", "2g.48gb+gfx"],
            ["1g.24gb-me", "2g.48gb-me"],
        ),
        (
            RTX,
            "1g.24gb+me",
            ["1g.24gb+me", "1g.24gb+me.all", "2g.48gb+me.all"],
            ["1g.24gb+gfx", "2g.48gb+gfx", "1g.24gb-me", "2g.48gb"],
        ),
        (RTX, "2g.48gb+gfx", ["2g.48gb+me.all", "4g.96gb+gfx"], ["1g.24gb", "1g.24gb+gfx"]),
        ("1xB200", "1g.23gb+me", ["1g.23gb+me", "7g.180gb"], ["3g.90gb", "1g.45gb", "2g.45gb"]),
    ],
)
def test_media_engines_are_dealt_out_once(
    spec: str, first: str, excluded: list[str], still_fits: list[str]
) -> None:
    """One ``+me`` per GPU; ``+me.all`` leaves room only for profiles without media engines."""
    with program.running(spec):
        device = program.gpu()
        ids = {name: info.id for name, info in program.profiles(device).items()}
        program.make(device, ids[first])
        for name in excluded:
            assert program.code(pynvml.nvmlDeviceCreateGpuInstance, device, ids[name]) == 23
            assert pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(device, ids[name]) == 0
        for name in still_fits:
            program.unmake(program.make(device, ids[name]))


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_plain_profiles_never_run_out_of_media_engines(model: Model) -> None:
    """However they are mixed, windows and compute slices bind first: engines limit special ones."""
    plain = [one for one in model.profiles if not {"+", "-"} & set(one.name)]
    budget = [range(have + 1) for have in model.media_budget]
    for mix in mixes(plain, model.compute_slices):
        used = [sum(engines) for engines in zip(*(one.engines.media for one in mix), strict=True)]
        fits_in_memory = sum(one.size for one in mix) <= model.memory_slices
        assert not fits_in_memory or all(map(contains, budget, used))


def mixes(profiles: list[Profile], compute_slices: int) -> Iterator[list[Profile]]:
    """All multisets of profiles within so many compute slices, the empty one left out."""
    for number, profile in enumerate(profiles):
        if profile.slices <= compute_slices:
            yield [profile]
            for rest in mixes(profiles[number:], compute_slices - profile.slices):
                yield [profile, *rest]


@pytest.mark.parametrize(
    ("gpu", "ids"), [(0, [13, 11, 12, 7, 8, 9, 10]), (1, [9, 7, 8, 11, 12, 13, 14])]
)
def test_gpu_instance_ids_follow_a_heap_mirrored_on_every_second_die(
    gpu: int, ids: list[int]
) -> None:
    """Seven 1g have the ids seen on plain and on mirrored dies, so ids tell no placement."""
    with program.running("2xH100 80GB HBM3"):
        device = program.gpu(gpu)
        made = [program.make(device, 19).gpu_instance for _ in range(7)]
        assert [program.instance_id(one) for one in made] == ids
        assert [program.start(one) for one in made] == [6, 4, 5, 0, 1, 2, 3]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("model", simulated.known_models().values(), ids=lambda one: one.name)
def test_windows_of_one_size_have_ids_of_their_own(model: object, mirrored: bool) -> None:
    """No two windows that can exist together share an id."""
    assert isinstance(model, simulated.models.Model)
    by_id: dict[int, set[tuple[int, int]]] = {}
    for profile in model.profiles:
        for start in profile.starts:
            found = gpu_instance_id(model, profile, start, mirrored=mirrored)
            by_id.setdefault(found, set()).add((start, profile.size))
    assert all(len(windows) == 1 for windows in by_id.values())
    assert by_id[0] == {(0, model.memory_slices)}


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["make", "make at", "remove"]), st.integers(0, 1000)), max_size=30
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(simulated.known_models())), OPERATIONS)
def test_random_histories_never_overlap_and_capacity_is_what_fits(
    model: str, operations: list[tuple[str, int]]
) -> None:
    """Whatever is made and removed, no memory slice has two owners and the counts come true."""
    with program.running(f"2x{model}") as node:
        device = program.gpu(1)
        infos = list(program.profiles(device).values())
        alive: list[program.Slice] = []
        for kind, number in operations:
            if kind == "remove":
                if alive:
                    program.unmake(alive.pop(number % len(alive)))
                continue
            info = infos[number % len(infos)]
            places = program.placements(device, info.id)
            at = places[number % len(places)][0] if kind == "make at" else None
            with suppress(pynvml.NVMLError_InsufficientResources):
                alive.append(program.make(device, info.id, at))
            slots = slots_of(node)
            assert len(slots) == len(set(slots))
        for info in infos:
            assert pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(device, info.id) == fitting_now(
                device, info.id
            )


def slots_of(node: simulated.Node) -> list[int]:
    """The memory slices of all GPU instances on the second GPU."""
    return [
        slot for one in node.gpus[1].instances for slot in range(one.start, one.start + one.size)
    ]


def fitting_now(device: object, profile_id: int) -> int:
    """How many of a profile can be made until the driver refuses; they are removed again."""
    made = []
    with suppress(pynvml.NVMLError_InsufficientResources):
        while True:
            made.append(program.make(device, profile_id))
    for one in made:
        program.unmake(one)
    return len(made)
