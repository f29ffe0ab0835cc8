from __future__ import annotations

import pytest

from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated.models import Model

MODELS = list(simulated.known_models().values())
BY_NAME = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def test_the_models_are_those_of_which_enough_is_known() -> None:
    """Ampere, Hopper and Blackwell boards with 4, 8 and 12 memory slices; none of low trust."""
    assert {model.name: model.memory_slices for model in MODELS} == {
        "A30": 4,
        "A100-SXM4-40GB": 8,
        "A100-PCIE-40GB": 8,
        "A100-SXM4-80GB": 8,
        "A100 80GB PCIe": 8,
        "A800-SXM4-80GB": 8,
        "H100 80GB HBM3": 8,
        "H100 PCIe": 8,
        "H100 NVL": 8,
        "GH200 480GB": 8,
        "GH200 120GB": 8,
        "GH200 144G HBM3e": 8,
        "H200": 8,
        "H200 NVL": 8,
        "B200": 8,
        "GB200": 8,
        "RTX PRO 6000 Blackwell Server Edition": 12,
        "RTX PRO 6000 Blackwell Workstation Edition": 12,
        "RTX PRO 6000 Blackwell Max-Q Workstation Edition": 12,
    }


def test_what_nobody_has_told_is_not_made_up() -> None:
    """Unknown multiprocessors are 0; unknown memory is that of smaller profiles side by side."""
    models = simulated.known_models()
    unknown = {
        name: [profile.name for profile in models[name].profiles if not profile.multiprocessors]
        for name in ("B200", "GB200", "H100 80GB HBM3")
    }
    assert unknown == {
        "B200": ["3g.90gb"],
        "GB200": ["3g.93gb", "4g.93gb", "7g.186gb"],
        "H100 80GB HBM3": [],
    }
    known, inferred = (
        models["GH200 144G HBM3e"].profile_by_name(name) for name in ("1g.36gb", "3g.72gb")
    )
    assert inferred.memory_mib == 2 * known.memory_mib


@BY_NAME
def test_media_engines_are_on_the_profiles_that_say_so(model: Model) -> None:
    """``-me`` has none, ``+me.all`` all, and graphics profiles as many as the plain ones."""
    for profile in model.profiles:
        base, _, kind = profile.name.replace("-me", "+-me").partition("+")
        plain = model.profile_by_name(base)
        if kind == "-me":
            assert profile.engines.media == (0, 0, 0, 0)
        elif kind == "me.all":
            assert profile.engines.media == model.media_budget
        elif kind == "gfx":
            assert (profile.engines, profile.starts) == (plain.engines, plain.starts)
        elif kind == "me":
            assert profile.engines.ofa > plain.engines.ofa
        else:
            assert kind == ""


@BY_NAME
def test_no_board_fits_more_than_eight_instances(model: Model) -> None:
    """So the driver's limit of eight GPU instances needs no rule of its own."""
    assert model.compute_slices <= 8
    assert all(profile.slices >= 1 for profile in model.profiles)


@BY_NAME
def test_names_ids_and_enums_are_unique(model: Model) -> None:
    """Each of the three names one profile."""
    for key in ("name", "id", "enum"):
        values = [getattr(profile, key) for profile in model.profiles]
        assert len(values) == len(set(values))


@BY_NAME
def test_every_placement_lies_on_the_board(model: Model) -> None:
    """Windows end within the memory slices, and same-profile windows do not overlap."""
    for profile in model.profiles:
        slots = [slot for at in profile.starts for slot in range(at, at + profile.size)]
        assert len(slots) == len(set(slots))
        assert max(slots) < model.memory_slices
        assert profile.max_count <= len(profile.starts)


@BY_NAME
def test_slices_have_no_more_memory_than_the_board(model: Model) -> None:
    """As many as fit together still leave the reserved part."""
    for profile in model.profiles:
        assert profile.max_count * profile.memory_mib <= model.memory_mib - model.reserved_mib


@BY_NAME
def test_every_profile_has_one_whole_compute_profile_and_known_times(model: Model) -> None:
    """A slice can be made of any profile, and takes a published time."""
    for profile in model.profiles:
        assert profile.whole.slices == profile.slices
        assert profile.whole.starts == (0,)
        assert 0 < model.create_seconds[profile.slices] < 1
        assert 0 < model.destroy_seconds[profile.slices] < 1


@BY_NAME
def test_an_unknown_profile_name_is_answered_with_the_known_ones(model: Model) -> None:
    """A typing error in a test says what to write."""
    with pytest.raises(KeyError, match=model.profiles[0].name):
        model.profile_by_name("9g.1gb")
