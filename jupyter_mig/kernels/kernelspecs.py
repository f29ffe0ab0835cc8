"""Kernelspecs with a size, derived from the kernelspecs that are there.

``python3`` and ``1g.5gb`` make ``python3-mig-1g.5gb``, shown as "Python 3 (1g.5gb)". A spec says
nothing that changes by the minute: it is written to disk, and every change of one redraws
JupyterLab's launcher.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from jupyter_mig import __version__
from jupyter_mig.core.sizes import order, slug
from jupyter_mig.kernels import logos
from jupyter_mig.kernels.choices import Choice, allowed
from jupyter_mig.wire.messages import NodeView

PROVISIONER = "mig-provisioner"
MARK = "jupyter_mig"
"""The key in a spec's metadata by which we know our own."""

_COLLATION = " _-.()+0123456789abcdefghijklmnopqrstuvwxyz"
_RESOURCES = ("logo-*", "kernel.js", "kernel.css")


class BaseSpec(msgspec.Struct, frozen=True):
    """A kernelspec to derive others from. ``document`` is its ``kernel.json``."""

    name: str
    document: dict[str, Any]
    resource_dir: Path


class SizedSpec(msgspec.Struct, frozen=True):
    """A derived kernelspec, not yet on disk."""

    name: str
    document: dict[str, Any]
    base: BaseSpec


def is_ours(document: Mapping[str, Any]) -> bool:
    """Whether we wrote the kernelspec."""
    return MARK in document.get("metadata", {})


def is_base(document: Mapping[str, Any]) -> bool:
    """Whether sized specs can be derived: kernels that are not started locally have no use."""
    stanza = document.get("metadata", {}).get("kernel_provisioner", {})
    return not is_ours(document) and stanza.get("provisioner_name", "local-provisioner") == (
        "local-provisioner"
    )


def bases(specs: Mapping[str, Mapping[str, Any]]) -> list[BaseSpec]:
    """The kernelspecs to derive from, of what ``KernelSpecManager.get_all_specs()`` answers."""
    return [
        BaseSpec(name, found["spec"], Path(found["resource_dir"]))
        for name, found in sorted(specs.items())
        if is_base(found["spec"])
    ]


def sized(base: BaseSpec, choices: Sequence[Choice], node: NodeView) -> list[SizedSpec]:
    """One spec per size, ``choices`` in the order in which people shall see them."""
    shown = [choice.name for choice in choices]
    titles = _display_names(base.document["display_name"], shown, simulated=node.simulated)
    return [
        SizedSpec(
            f"{base.name}-mig-{slug(choice.name)}", _document(base, choice, title, node), base
        )
        for choice, title in zip(choices, titles, strict=True)
    ]


def _display_names(title: str, sizes: Sequence[str], *, simulated: bool) -> list[str]:
    """Front ends sort by display name as text, which puts 1g.10gb before 1g.5gb. A second space
    before the parenthesis sorts first and HTML does not show it.
    """
    title = title.removesuffix(" (ipykernel)")
    label = " simulated" if simulated else ""
    names: list[str] = []
    gap, following = " ", ""
    for size in reversed(sizes):
        shown = f"({size}){label}"
        if following and _collated(shown) > _collated(following):
            gap += " "
        following = shown
        names.append(title + gap + shown)
    return names[::-1]


def _collated(text: str) -> list[int]:
    """A sort key that agrees with browsers (root collation of Unicode) on names of sizes."""
    return [_COLLATION.find(character) for character in text]


def _document(base: BaseSpec, choice: Choice, title: str, node: NodeView) -> dict[str, Any]:
    argv = [
        part.replace("{resource_dir}", str(base.resource_dir)) for part in base.document["argv"]
    ]
    return {
        **base.document,
        "argv": argv,
        "display_name": title,
        "metadata": {**base.document.get("metadata", {}), **_metadata(base, choice, node)},
    }


def _metadata(base: BaseSpec, choice: Choice, node: NodeView) -> dict[str, Any]:
    return {
        "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": {"size": choice.request}},
        MARK: {
            "profile": choice.name,
            "memory_bytes": choice.memory_bytes,
            "base": base.name,
            "gpus": sorted({gpu.name for gpu in node.gpus}),
            "simulated": node.simulated,
            "version": __version__,
        },
        "parameters": _parameters(choice.request, [each.size for each in allowed(node)]),
    }


def _parameters(size: str, choices: Iterable[str]) -> dict[str, Any]:
    """The choice as JEP 87 writes it (a JSON schema), for front ends that will read it."""
    return {
        "type": "object",
        "properties": {
            "size": {
                "type": "string",
                "title": "GPU slice",
                "default": size,
                "enum": sorted({size, *choices}, key=order),
            }
        },
    }


def write(spec: SizedSpec, kernel_dir: Path) -> Path:
    """Write the spec below ``kernel_dir`` at one stroke, in the place of one of that name.

    Raises :class:`OSError`.
    """
    kernel_dir.mkdir(parents=True, exist_ok=True)
    target = kernel_dir / spec.name
    with TemporaryDirectory(prefix=".draft-", dir=kernel_dir) as drafts:
        draft = Path(drafts) / "new"
        _fill(draft, spec)
        if target.exists():
            target.rename(Path(drafts) / "old")
        draft.rename(target)
    return target


def _fill(directory: Path, spec: SizedSpec) -> None:
    directory.mkdir()
    for pattern in _RESOURCES:
        for resource in spec.base.resource_dir.glob(pattern):
            shutil.copy(resource, directory / resource.name)
    logo = logos.with_size(spec.base.resource_dir, spec.document["metadata"][MARK]["profile"])
    if logo is not None:
        (directory / logos.NAME).write_text(logo, encoding="utf-8")
    text = json.dumps(spec.document, indent=1, sort_keys=True)
    (directory / "kernel.json").write_text(text, encoding="utf-8")


def read(directory: Path) -> dict[str, Any] | None:
    """The ``kernel.json`` in a spec's directory; None if there is none that can be read."""
    try:
        document = json.loads((directory / "kernel.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
