"""The sized kernelspecs of one running Jupyter server.

They live in a runtime directory of their own, the last of the spec manager's ``kernel_dirs``, so
that whatever kernelspec manager the server has keeps working and everybody else's specs win.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_runtime_dir
from traitlets import Dict, Instance, Integer, List, TraitError, Unicode, validate
from traitlets.config import LoggingConfigurable

from jupyter_mig.kernels import choices, kernelspecs
from jupyter_mig.kernels.choices import Choice
from jupyter_mig.kernels.kernelspecs import BaseSpec, SizedSpec
from jupyter_mig.wire.messages import NodeView

_PREFIX = "jupyter-mig-kernels-"
_NAME = re.compile(r"[a-z0-9._-]+")


class MIGPicker(LoggingConfigurable):
    """What the kernel picker offers: which kernels, in which sizes."""

    base_kernels = List(
        Unicode(),
        ["*"],
        help="""
        Names (patterns with `*`) of the kernels that get a variant per size. By default all
        that are started locally.
        """,
    ).tag(config=True)

    sizes = List(
        Unicode(),
        help="""
        The sizes to offer, by name; those of `named_sizes` too. By default these, or, where there
        are none, all that the node has but media-engine and graphics variants.
        """,
    ).tag(config=True)

    named_sizes = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="""
        Names of your own for sizes, in the order in which to show them: each a profile (`3g.20gb`)
        or a requirement (`10gb+`: the smallest with that much memory), of which this node has what
        it has.
        """,
    ).tag(config=True)

    most_specs = Integer(
        48,
        help="""
        If there were more kernels times sizes than this, only the default kernel gets sizes.
        """,
    ).tag(config=True)

    default_kernel = Unicode("python3")
    """The kernel to keep where there would be too many."""

    specs = Instance(KernelSpecManager)

    @validate("named_sizes")
    def _check_names(self, proposal: Any) -> Any:
        """Names become part of kernelspec names."""
        for name in proposal["value"]:
            if not _NAME.fullmatch(name):
                raise TraitError(f"named_sizes: {name!r} may have a-z, 0-9, dot, dash, underscore.")
        return proposal["value"]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.directory = (
            Path(jupyter_runtime_dir()) / f"{_PREFIX}{socket.gethostname()}-{os.getpid()}"
        )
        self._written: dict[str, dict[str, Any]] = {}
        self._warned: set[str] = set()

    def open(self) -> None:
        """Make the directory and have it searched. Raises :class:`OSError`."""
        remove_abandoned(self.directory.parent)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True, mode=0o700)
        self.specs.kernel_dirs = [*self.specs.kernel_dirs, str(self.directory)]

    def close(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def offer(self, node: NodeView | None) -> list[str]:
        """Offer the node's sizes (None: no sizes) and nothing else; the names of the specs.

        Raises :class:`OSError`.
        """
        wanted = {} if node is None else {spec.name: spec for spec in self._wanted(node)}
        for name in self._written.keys() - wanted.keys():
            self._remove(name)
        for spec in wanted.values():
            if self._written.get(spec.name) != spec.document:
                kernelspecs.write(spec, self.directory)
                self._written[spec.name] = spec.document
        return list(wanted)

    def _remove(self, name: str) -> None:
        del self._written[name]
        shutil.rmtree(self.directory / name, ignore_errors=True)

    def _wanted(self, node: NodeView) -> list[SizedSpec]:
        sizes = self._sizes(node)
        specs = [
            spec for base in self._bases(sizes) for spec in kernelspecs.sized(base, sizes, node)
        ]
        self._allow(specs)
        return [spec for spec in specs if not self._is_taken(spec)]

    def _sizes(self, node: NodeView) -> list[Choice]:
        named = choices.named(self.named_sizes, node)
        if not self.sizes and not self.named_sizes:
            return choices.usual(node)
        offered = [*named, *choices.in_reading_order(choices.allowed(node))]
        wanted = set(self.sizes) or set(self.named_sizes)
        missing = wanted - {choice.name for choice in offered}
        if missing:
            names = ", ".join(sorted(missing))
            allowed = f" that {node.allowance.rule} allows" if node.allowance else ""
            self._warn(f"MIGPicker: this node has no size {names}{allowed}.")
        return [choice for choice in offered if choice.name in wanted]

    def _bases(self, sizes: Sequence[Choice]) -> list[BaseSpec]:
        chosen = [
            base
            for base in kernelspecs.bases(self.specs.get_all_specs())
            if any(fnmatch(base.name, pattern) for pattern in self.base_kernels)
        ]
        if len(chosen) * len(sizes) <= self.most_specs:
            return chosen
        self._warn(
            f"{len(chosen)} kernels in {len(sizes)} sizes are too many to offer: only "
            f"{self.default_kernel} gets sizes. Choose with c.MIGPicker.base_kernels and "
            "c.MIGPicker.sizes."
        )
        return [base for base in chosen if base.name == self.default_kernel]

    def _allow(self, specs: Sequence[SizedSpec]) -> None:
        """Where the administrator lists allowed kernels, sizes are allowed if their base is; only
        such bases get here. (Jupyter would hide the sizes for not being listed.)
        """
        if self.specs.allowed_kernelspecs:
            self.specs.allowed_kernelspecs |= {spec.name for spec in specs}

    def _is_taken(self, spec: SizedSpec) -> bool:
        """Whether an earlier directory has a spec of that name: it wins, ours would be hidden."""
        found = self.specs.find_kernel_specs().get(spec.name)
        if found is None or Path(found).parent == self.directory:
            return False
        document = kernelspecs.read(Path(found))
        if document is None or not kernelspecs.is_ours(document):
            self._warn(f"Kernelspec {spec.name} in {found} hides ours of that name.")
        return True

    def _warn(self, text: str) -> None:
        """Once: the picker is looked after every minute."""
        if text not in self._warned:
            self.log.warning("jupyter_mig: %s", text)
        self._warned.add(text)


def remove_abandoned(runtime_dir: Path) -> None:
    """Remove what servers on this host left that were killed."""
    prefix = f"{_PREFIX}{socket.gethostname()}-"
    for directory in runtime_dir.glob(f"{prefix}*"):
        pid = directory.name.removeprefix(prefix)
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(directory, ignore_errors=True)
