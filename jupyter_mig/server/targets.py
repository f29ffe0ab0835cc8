"""Which kernelspec a kernel is started from when its size is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec

from jupyter_mig.core.sizes import order
from jupyter_mig.errors import MalformedSpec, Refused, UnknownSize
from jupyter_mig.kernels.kernelspecs import MARK, PROVISIONER
from jupyter_mig.wire.messages import Name

Specs = Mapping[str, Mapping[str, Any]]
"""What ``KernelSpecManager.get_all_specs()`` answers."""


class SizeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST kernels/KERNEL_ID/size``: the size to have, by the name under which it is offered.
    ``kernelspec`` names the kernelspec to use; empty: the sibling of the kernel's own.
    """

    size: Name
    kernelspec: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Target(msgspec.Struct, frozen=True):
    """A kernelspec with a size; ``request`` is what its kernels ask the broker for."""

    kernelspec: str
    size: str
    request: str


def find(specs: Specs, current: str, wish: SizeRequest) -> Target:
    """The kernelspec for a kernel started from ``current`` that is to change its size.

    Raises :class:`UnknownSize` if it is not offered in that size, :class:`MalformedSpec` if the
    kernelspec asked for has not that size, :class:`Refused` if the kernel has it already.
    """
    target = _named(specs, wish) if wish.kernelspec else _sibling(specs, current, wish.size)
    if target.kernelspec == current:
        raise Refused(
            f"The kernel has the size {target.size} already.",
            next_step="Restart it if you want it afresh.",
        )
    return target


def _named(specs: Specs, wish: SizeRequest) -> Target:
    target = _target(specs, wish.kernelspec)
    if target is None or wish.size not in (target.size, target.request):
        raise MalformedSpec(
            f"There is no kernel {wish.kernelspec[:60]} of size {wish.size[:20]}.",
            next_step="Name one of the kernels with a size; jupyter kernelspec list shows them.",
        )
    return target


def _sibling(specs: Specs, current: str, size: str) -> Target:
    """The kernelspec derived from the same base."""
    base = _base(specs, current)
    family = {target.size: target for target in _family(specs, base)}
    if size not in family:
        sizes = ", ".join(sorted(family, key=order))
        raise UnknownSize(
            f"The kernel {base[:40]} is not offered in size {size[:20]}.",
            situation=f"Its sizes: {sizes}." if sizes else "It is offered in no size.",
            next_step="Pick one of them." if sizes else "Pick another kernel.",
        )
    return family[size]


def _family(specs: Specs, base: str) -> Iterator[Target]:
    for name in specs:
        target = _target(specs, name) if _base(specs, name) == base else None
        if target is not None:
            yield target


def _base(specs: Specs, name: str) -> str:
    """The kernelspec from which the one of that name is derived: often itself."""
    return str(_mark(_metadata(specs, name)).get("base", name))


def _target(specs: Specs, name: str) -> Target | None:
    """The kernelspec of that name as a target. None: it is not there or has no size."""
    metadata = _metadata(specs, name)
    stanza = metadata.get("kernel_provisioner", {})
    request = stanza.get("config", {}).get("size", "")
    if stanza.get("provisioner_name") != PROVISIONER or not request:
        return None
    return Target(name, str(_mark(metadata).get("profile", request)), str(request))


def _mark(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    mark: Mapping[str, Any] = metadata.get(MARK, {})
    return mark


def _metadata(specs: Specs, name: str) -> Mapping[str, Any]:
    metadata: Mapping[str, Any] = specs[name]["spec"].get("metadata", {}) if name in specs else {}
    return metadata
