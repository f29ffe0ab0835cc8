"""Sized kernelspecs on disk, for programs without our server extension: nbclient, papermill,
consoles, other servers. Only specs that we wrote are ever replaced or removed.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_data_dir, jupyter_path

from jupyter_mig.core.sizes import order
from jupyter_mig.errors import MalformedSpec, NotAllowed, UnknownSize
from jupyter_mig.kernels import choices, kernelspecs
from jupyter_mig.kernels.choices import Choice
from jupyter_mig.kernels.kernelspecs import MARK, BaseSpec, SizedSpec
from jupyter_mig.wire.messages import NodeView


class Installed(msgspec.Struct, frozen=True):
    """A sized kernelspec found on disk. ``version`` is that of the package that wrote it."""

    name: str
    display_name: str
    size: str
    base: str
    simulated: bool
    directory: Path
    version: str = ""


def user_dir() -> Path:
    """Where one user's kernelspecs are."""
    return Path(jupyter_data_dir()) / "kernels"


def prefix_dir(prefix: str | Path = sys.prefix) -> Path:
    """Where the kernelspecs of an environment are; by default the running one's."""
    return Path(prefix) / "share" / "jupyter" / "kernels"


def install(
    node: NodeView,
    kernel_dir: Path,
    *,
    base_kernels: Sequence[str] = ("python3",),
    sizes: Sequence[str] = (),
) -> list[Installed]:
    """Write a kernelspec for each base kernel and each size (by default the usual ones).

    Raises :class:`UnknownSize` for a size the node lacks, :class:`NotAllowed` for one that a rule
    never allows its user, :class:`MalformedSpec` for a kernel
    that is not there or a name that somebody else's spec has, and :class:`OSError`; before
    anything is written in the first two cases.
    """
    chosen = _chosen_sizes(node, sizes)
    specs = [
        spec
        for base in _chosen_bases(base_kernels)
        for spec in kernelspecs.sized(_portable(base), chosen, node)
    ]
    for spec in specs:
        _check_replaceable(spec, kernel_dir)
    written = [kernelspecs.write(spec, kernel_dir) for spec in specs]
    return [found for directory in written if (found := _installed(directory)) is not None]


def installed(kernel_dirs: Iterable[Path] | None = None) -> list[Installed]:
    """Our kernelspecs below these directories; by default wherever Jupyter looks."""
    directories = [Path(path) for path in jupyter_path("kernels")]
    found = [
        spec
        for kernel_dir in (directories if kernel_dirs is None else kernel_dirs)
        for child in (sorted(kernel_dir.iterdir()) if kernel_dir.is_dir() else ())
        if (spec := _installed(child)) is not None
    ]
    return sorted(found, key=lambda spec: (spec.base, order(spec.size)))


def remove(specs: Iterable[Installed]) -> None:
    """Delete these kernelspecs. Raises :class:`OSError`."""
    for spec in specs:
        if _installed(spec.directory) is not None:
            shutil.rmtree(spec.directory)


def _installed(directory: Path) -> Installed | None:
    document = kernelspecs.read(directory)
    if document is None or not kernelspecs.is_ours(document):
        return None
    mark = document["metadata"][MARK]
    return Installed(
        name=directory.name,
        display_name=" ".join(document["display_name"].split()),
        size=mark.get("profile", ""),
        base=mark.get("base", ""),
        simulated=mark.get("simulated", False),
        directory=directory,
        version=mark.get("version", ""),
    )


def _chosen_sizes(node: NodeView, names: Sequence[str]) -> list[Choice]:
    if not names:
        return choices.usual(node)
    by_name = {size.size: size for size in node.sizes}
    for name in names:
        if name not in by_name:
            raise UnknownSize(
                f"This node has no size {name}.",
                situation="It has: " + ", ".join(sorted(by_name, key=order)),
                next_step="Name one of these.",
            )
        if by_name[name].not_allowed:
            raise NotAllowed(
                f"You may not have {name} slices on this node.",
                situation=f"By {by_name[name].not_allowed}.",
                next_step="Name a size that it allows; jupyter mig sizes lists them.",
            )
    return choices.in_reading_order(by_name[name] for name in set(names))


def _chosen_bases(names: Sequence[str]) -> list[BaseSpec]:
    found = {base.name: base for base in kernelspecs.bases(KernelSpecManager().get_all_specs())}
    for name in names:
        if name not in found:
            raise MalformedSpec(
                f"There is no local kernel named {name}.",
                situation="There are: " + (", ".join(found) or "none"),
                next_step="Name one of these; jupyter kernelspec list shows them too.",
            )
    return [found[name] for name in names]


def _portable(base: BaseSpec) -> BaseSpec:
    """The base with its Python spelled out: a bare ``python`` would be the reader's own."""
    argv = list(base.document["argv"])
    if argv[0] in ("python", "python3"):
        argv[0] = sys.executable
    document: dict[str, Any] = {**base.document, "argv": argv}
    return BaseSpec(base.name, document, base.resource_dir)


def _check_replaceable(spec: SizedSpec, kernel_dir: Path) -> None:
    directory = kernel_dir / spec.name
    if os.path.lexists(directory) and _installed(directory) is None:
        raise MalformedSpec(
            f"The kernelspec {spec.name} is there already and is not ours.",
            situation=str(directory),
            next_step="Rename or remove it, or install elsewhere.",
        )
