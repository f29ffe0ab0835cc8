"""Which kernelspec has the size that somebody wants to change to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.errors import MalformedSpec, Refused, UnknownSize
from jupyter_mig.server.targets import SizeRequest, Target, find

SIZES = {"1g.5gb": "1g.5gb", "2g.10gb": "2g.10gb", "small": "10gb+"}


def spec(request: str = "", mark: dict[str, str] | None = None) -> dict[str, Any]:
    """A kernelspec as the spec manager tells of it."""
    stanza = {"provisioner_name": "mig-provisioner", "config": {"size": request}}
    metadata: dict[str, Any] = {"kernel_provisioner": stanza} if request else {}
    return {"spec": {"metadata": {**metadata, **({"jupyter_mig": mark} if mark else {})}}}


SPECS = {
    **{base: spec() for base in ("python3", "ir")},
    **{
        f"{base}-mig-{name}": spec(request, {"profile": name, "base": base})
        for base in ("python3", "ir")
        for name, request in SIZES.items()
    },
    "mine": spec("20gb+"),
    "remote": {"spec": {"metadata": {"kernel_provisioner": {"provisioner_name": "ssh"}}}},
    "bare": {"spec": {}},
}


@given(
    st.sampled_from(["python3", "ir"]),
    st.sampled_from([*SIZES, ""]),
    st.sampled_from([*SIZES]),
)
def test_siblings(base: str, size: str, wanted: str) -> None:
    """From any size of a kernel, or none, to any other; never to another kernel's."""
    current = f"{base}-mig-{size}" if size else base
    if size == wanted:
        with pytest.raises(Refused, match=f"has the size {wanted} already"):
            find(SPECS, current, SizeRequest(wanted))
        return
    expected = Target(f"{base}-mig-{wanted}", wanted, SIZES[wanted])
    assert find(SPECS, current, SizeRequest(wanted)) == expected


@pytest.mark.parametrize(
    ("size", "name", "request_"),
    [("2g.10gb", "ir-mig-2g.10gb", "2g.10gb"), ("20gb+", "mine", "20gb+")],
)
def test_a_kernelspec_that_is_named(size: str, name: str, request_: str) -> None:
    """It may be another kernel's, and one that somebody wrote by hand."""
    wish = SizeRequest(size, name)
    assert find(SPECS, "python3", wish) == Target(name, size, request_)


@pytest.mark.parametrize("name", ["python3", "remote", "bare", "nowhere", "ir-mig-1g.5gb"])
def test_a_kernelspec_without_that_size(name: str) -> None:
    """No size, another provisioner, not there, or another size."""
    with pytest.raises(MalformedSpec, match="There is no kernel"):
        find(SPECS, "python3", SizeRequest("2g.10gb", name))


def test_a_size_that_is_not_offered() -> None:
    """The sizes that are, or that there are none, is what one is told."""
    with pytest.raises(UnknownSize) as refused:
        find(SPECS, "python3-mig-1g.5gb", SizeRequest("9g.99gb"))
    assert refused.value.situation == "Its sizes: 1g.5gb, 2g.10gb, small."
    with pytest.raises(UnknownSize) as none:
        find(SPECS, "remote", SizeRequest("1g.5gb"))
    assert none.value.situation == "It is offered in no size."
