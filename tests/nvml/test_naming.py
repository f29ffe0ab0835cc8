from __future__ import annotations

import pytest

from jupyter_mig.nvml import naming

PLAIN = {"1": 0x0, "2": 0x1, "3": 0x2, "4": 0x3, "7": 0x4}
DOUBLE_MEMORY = 0x9

# Total MiB of a GPU, and what real drivers report for its profiles: name, MiB (of each driver).
MODELS = {
    "A100 40GB": (
        40960,
        [
            "1g.5gb 4864",
            "1g.10gb 9856",
            "2g.10gb 9856 9984",
            "3g.20gb 19968 20096",
            "4g.20gb 19968 20096",
            "7g.40gb 40192 40448",
        ],
    ),
    "A100 80GB": (
        81920,
        [
            "1g.10gb 9728 9856",
            "1g.20gb 19968",
            "2g.20gb 19968",
            "3g.40gb 40192 40448",
            "4g.40gb 40192 40448",
            "7g.80gb 80896 80384 80640 81152",
        ],
    ),
    "H100 80GB": (
        81559,
        [
            "1g.10gb 9984",
            "1g.20gb 20096",
            "2g.20gb 20096",
            "3g.40gb 40448",
            "4g.40gb 40448",
            "7g.80gb 81152",
        ],
    ),
    "H100 NVL": (
        95830,
        [
            "1g.12gb 11008",
            "1g.24gb 22144",
            "2g.24gb 22144",
            "3g.47gb 47488",
            "4g.47gb 47488",
            "7g.94gb 95360",
        ],
    ),
    "GH200 96GB": (
        97871,
        [
            "1g.12gb 11264",
            "1g.24gb 23552",
            "2g.24gb 23552",
            "3g.48gb 47616",
            "4g.48gb 47616",
            "7g.96gb 95232",
        ],
    ),
    "H200": (
        143771,
        [
            "1g.18gb 16384",
            "1g.35gb 33280 33024",
            "2g.35gb 33280 33024",
            "3g.71gb 71424 71168",
            "4g.71gb 71424 71168",
            "7g.141gb 143360",
        ],
    ),
    "B200": (
        183359,
        [
            "1g.23gb 20992 22528",
            "1g.45gb 45312",
            "2g.45gb 45312",
            "3g.90gb 91136",
            "4g.90gb 91136",
            "7g.180gb 182784",
        ],
    ),
    "GB200": (
        189471,
        [
            "1g.23gb 22528 20480",
            "1g.47gb 46592",
            "2g.47gb 46592",
            "3g.93gb 93696",
            "4g.93gb 93696",
            "7g.186gb 188928",
        ],
    ),
    "A30": (24576, ["1g.6gb 5952 5836", "2g.12gb 11968 11672", "4g.24gb 24000 23344"]),
    "RTX PRO 6000": (97887, ["1g.24gb 24192 23680", "2g.48gb 48512", "4g.96gb 97408 97280"]),
}
ROWS = [
    pytest.param(total, name, int(mib), id=f"{gpu} {name} {mib}")
    for gpu, (total, rows) in MODELS.items()
    for name, *mibs in map(str.split, rows)
    for mib in mibs
]


@pytest.mark.parametrize(("total_mib", "name", "memory_mib"), ROWS)
def test_computed_names_are_nvidias(total_mib: int, name: str, memory_mib: int) -> None:
    """Each profile that real drivers list gets the name that they give it."""
    slices = name[0]
    assert naming.profile_name(PLAIN[slices], int(slices), memory_mib, total_mib) == name


@pytest.mark.parametrize(
    ("enum", "slices", "memory_mib", "name"),
    [
        (DOUBLE_MEMORY, 1, 24192, "1g.24gb"),
        (0x7, 1, 24192, "1g.24gb+me"),
        (0xA, 1, 24192, "1g.24gb+gfx"),
        (0xF, 1, 24192, "1g.24gb+me.all"),
        (0xD, 1, 24192, "1g.24gb-me"),
        (0xB, 2, 48512, "2g.48gb+gfx"),
        (0x10, 2, 48512, "2g.48gb+me.all"),
        (0xE, 2, 48512, "2g.48gb-me"),
        (0xC, 4, 97408, "4g.96gb+gfx"),
    ],
)
def test_variants_carry_their_suffix(enum: int, slices: int, memory_mib: int, name: str) -> None:
    """What version 1 of the struct does not say, the enum does."""
    assert naming.profile_name(enum, slices, memory_mib, 97887) == name


def test_unknown_variants_cannot_take_a_known_name() -> None:
    """A profile of a newer driver is told apart by its enum."""
    assert naming.profile_name(0x2A, 1, 24192, 97887) == "1g.24gb+enum42"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("1g.5gb", "1g.5gb"),
        ("MIG 1g.5gb", "1g.5gb"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb+me", "1g.5gb+me"),
        ("NVIDIA H200 MIG 1c.3g.71gb", "3g.71gb"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition MIG 1g.24gb+me.all", "1g.24gb+me.all"),
        ("", ""),
    ],
)
def test_names_are_found_in_what_nvml_says(said: str, name: str) -> None:
    """Profile info and MIG devices wrap the same name differently."""
    assert naming.stripped(said) == name


@pytest.mark.parametrize("name", ["1g.5gb", "3g.71gb+me", "4g.96gb+me.all", "1g.24gb-me", "9g.1tb"])
def test_only_what_can_be_a_profile_is_taken_as_a_name(name: str) -> None:
    """Names end up in kernelspecs and on screens: nonsense from a driver does not."""
    assert naming.sensible(name) == ("" if name == "9g.1tb" else name)
    assert naming.sensible(f"{name} or so") == ""


def test_a_gpu_of_unknown_memory_has_names_too() -> None:
    """Then a profile's own memory names it."""
    assert naming.profile_name(0, 1, 4864, 0) == "1g.5gb"
