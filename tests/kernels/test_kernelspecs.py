"""What a sized kernelspec says, and that it can be read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

from jupyter_mig import __version__
from jupyter_mig.core.sizes import order
from jupyter_mig.kernels import kernelspecs
from jupyter_mig.kernels.choices import in_reading_order
from tests.kernels.nodes import A100, base, node

PROFILES = st.builds(
    "{}g.{}gb{}".format,
    st.integers(1, 7),
    st.sampled_from([5, 6, 10, 12, 20, 24, 35, 40, 80, 96, 141]),
    st.sampled_from(["", "+me", "+gfx", "-me", "+me.all"]),
)


def _shown(*sizes: str, title: str = "Python 3 (ipykernel)", simulated: bool = False) -> list[str]:
    one = node(*sizes, simulated=simulated)
    derived = kernelspecs.sized(
        base(Path("/nowhere"), display_name=title), in_reading_order(one.sizes), one
    )
    return [spec.document["display_name"] for spec in derived]


def test_the_name_is_the_bases_with_a_slug_of_the_size() -> None:
    """Kernelspec names allow no plus sign, so a media-engine variant has a dot instead."""
    one = node("1g.5gb", "1g.5gb+me")
    derived = kernelspecs.sized(base(Path("/nowhere")), in_reading_order(one.sizes), one)
    assert [spec.name for spec in derived] == ["python3-mig-1g.5gb", "python3-mig-1g.5gb.me"]


def test_a_size_shows_in_parentheses_in_place_of_ipykernels() -> None:
    """Other texts in parentheses tell kernels apart and stay."""
    assert _shown("1g.10gb") == ["Python 3 (1g.10gb)"]
    assert _shown("1g.10gb", title="Python 3.12 (torch)") == ["Python 3.12 (torch) (1g.10gb)"]


def test_a_simulated_size_says_so() -> None:
    """Nobody shall take a simulated slice for hardware."""
    assert _shown("1g.10gb", simulated=True) == ["Python 3 (1g.10gb) simulated"]


def test_display_names_sort_by_size_as_text() -> None:
    """Front ends sort by display name; 1g.10gb would come before 1g.5gb."""
    shown = _shown(*A100)
    assert shown[0] == "Python 3  (1g.5gb)"
    assert shown[2] == "Python 3 (1g.10gb)"
    assert sorted(shown, key=_as_browsers_sort) == shown


@given(st.lists(PROFILES, unique=True, max_size=12))
def test_any_sizes_sort_as_text(profiles: list[str]) -> None:
    """Whatever sizes a node has, people read them from small to large."""
    shown = _shown(*sorted(profiles, key=order))
    assert sorted(shown, key=_as_browsers_sort) == shown


def _as_browsers_sort(text: str) -> str:
    """Punctuation in the order of Unicode's root collation, which Chromium and Firefox use."""
    return text.translate(str.maketrans(" -.()+", "\1\2\3\4\5\6"))


def test_a_spec_leads_to_the_provisioner_and_describes_the_slice(tmp_path: Path) -> None:
    """Metadata that the base has (encryption, debugger) stays; other tools find ours."""
    kept = {"debugger": True, "supported_encryption": ["curve"]}
    one = node(*A100)
    origin = base(tmp_path, metadata=kept, env={"A": "1"})
    document = kernelspecs.sized(origin, in_reading_order(one.sizes), one)[3].document
    assert document["env"] == {"A": "1"}
    assert document["metadata"] == {
        **kept,
        "kernel_provisioner": {
            "provisioner_name": "mig-provisioner",
            "config": {"size": "2g.10gb"},
        },
        "jupyter_mig": {
            "profile": "2g.10gb",
            "memory_bytes": 5 << 30,
            "base": "python3",
            "gpus": ["NVIDIA A100-SXM4-40GB"],
            "simulated": False,
            "version": __version__,
        },
        "parameters": {
            "type": "object",
            "properties": {
                "size": {
                    "type": "string",
                    "title": "GPU slice",
                    "default": "2g.10gb",
                    "enum": list(A100),
                }
            },
        },
    }


def test_resource_dir_is_the_bases(tmp_path: Path) -> None:
    """Jupyter would expand it to the derived spec's directory, where the files are not."""
    origin = base(tmp_path, argv=["{resource_dir}/start.sh", "{connection_file}"])
    one = node("1g.5gb")
    argv = kernelspecs.sized(origin, in_reading_order(one.sizes), one)[0].document["argv"]
    assert argv == [f"{tmp_path}/start.sh", "{connection_file}"]


def test_what_is_written_is_a_kernelspec(tmp_path: Path) -> None:
    """Logos come along; nothing but specs remains in the directory; twice is once."""
    origin = tmp_path / "python3"
    origin.mkdir()
    for name in ("logo-64x64.png", "logo-svg.svg", "huge.bin"):
        (origin / name).write_bytes(b"x")
    one = node("1g.5gb")
    spec = kernelspecs.sized(base(origin), in_reading_order(one.sizes), one)[0]
    target = tmp_path / "kernels"
    assert kernelspecs.write(spec, target) == kernelspecs.write(spec, target)
    assert [path.name for path in target.iterdir()] == ["python3-mig-1g.5gb"]
    found = sorted(path.name for path in (target / spec.name).iterdir())
    assert found == ["kernel.json", "logo-64x64.png", "logo-svg.svg"]
    read = KernelSpec.from_resource_dir(str(target / spec.name))
    assert read.metadata == spec.document["metadata"]


@pytest.mark.parametrize(
    ("metadata", "derivable"),
    [
        ({}, True),
        ({"kernel_provisioner": {"provisioner_name": "local-provisioner"}}, True),
        ({"kernel_provisioner": {"provisioner_name": "kubernetes-provisioner"}}, False),
        ({"kernel_provisioner": {"provisioner_name": "mig-provisioner"}, "jupyter_mig": {}}, False),
    ],
)
def test_sizes_are_for_kernels_that_are_started_here(
    metadata: dict[str, object], *, derivable: bool
) -> None:
    """A kernel that runs elsewhere has no use for a slice of this node, and ours have one."""
    assert kernelspecs.is_base({"metadata": metadata}) is derivable


def test_jupyters_own_specs_are_bases() -> None:
    """What the spec manager answers can be derived from as it is."""
    names = [found.name for found in kernelspecs.bases(KernelSpecManager().get_all_specs())]
    assert "python3" in names


def test_what_is_no_spec_reads_as_none(tmp_path: Path) -> None:
    """Directories of others may hold anything."""
    assert kernelspecs.read(tmp_path) is None
    (tmp_path / "kernel.json").write_text("{")
    assert kernelspecs.read(tmp_path) is None
    (tmp_path / "kernel.json").write_text(json.dumps(["no object"]))
    assert kernelspecs.read(tmp_path) is None
