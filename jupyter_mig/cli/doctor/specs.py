"""Kernelspecs on disk that ask for a slice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points

import msgspec

import jupyter_mig
from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.cli.measures import counted
from jupyter_mig.client import Settings
from jupyter_mig.kernels import installation, kernelspecs
from jupyter_mig.kernels.installation import Installed
from jupyter_mig.wire.messages import NodeView

_PAGE = "Install kernels for other programs"


class SpecFacts(msgspec.Struct, frozen=True):
    """Our kernelspecs, those among them whose program is gone, and the node's sizes if known, with
    the rule that never allows one to this user, if one does not.
    """

    installed: tuple[Installed, ...]
    simulated: bool
    provisioner: bool
    broken: tuple[Installed, ...] = ()
    sizes: Mapping[str, str] | None = None
    version: str = jupyter_mig.__version__


def look(settings: Settings, node: NodeView | None) -> SpecFacts:
    """Look wherever Jupyter does."""
    found = tuple(installation.installed())
    group = entry_points(group="jupyter_client.kernel_provisioners")
    return SpecFacts(
        found,
        settings.simulated,
        provisioner=kernelspecs.PROVISIONER in group.names,
        broken=tuple(spec for spec in found if not _runs(spec)),
        sizes={size.size: size.not_allowed for size in node.sizes} if node else None,
    )


def check(facts: SpecFacts) -> Iterator[Finding]:
    """The provisioner, then each way in which a kernelspec can be out of date."""
    if not facts.provisioner:
        yield problem(
            "provisioner",
            f"{kernelspecs.PROVISIONER} is not registered: sized kernels start without a slice,"
            " or not at all",
            'Install the package into the environment of Jupyter: pip install "jupyter-mig"',
            _PAGE,
        )
    stale = [
        *_foreign(facts),
        *_unknown(facts),
        *_not_allowed(facts),
        *_without_program(facts),
        *_outdated(facts),
    ]
    count = counted(len(facts.installed), "kernelspec") if facts.installed else "none"
    yield from stale or [ok("kernelspecs", f"{count} on disk; JupyterLab needs none")]


def _foreign(facts: SpecFacts) -> Iterator[Finding]:
    """Made for a simulated node, and this is none, or the reverse."""
    wrong = [spec for spec in facts.installed if spec.simulated != facts.simulated]
    if wrong:
        kind, here = ("real", "simulated") if facts.simulated else ("simulated", "real")
        seen = f"made for a {kind} node, and this one is {here}: {_names(wrong)}"
        yield problem("kernelspecs", seen, _again(wrong), _PAGE)


def _unknown(facts: SpecFacts) -> Iterator[Finding]:
    wrong = [
        spec
        for spec in facts.installed
        if facts.sizes is not None
        and spec.simulated == facts.simulated
        and spec.size not in facts.sizes
    ]
    if wrong:
        has = ", ".join(facts.sizes or ()) or "none"
        seen = f"for sizes that this node lacks: {_names(wrong)}. It has: {has}"
        yield problem("kernelspecs", seen, _again(wrong), _PAGE)


def _not_allowed(facts: SpecFacts) -> Iterator[Finding]:
    """What others may start, or another rule allowed, is no fault; but they are refused here."""
    rules = {spec.name: (facts.sizes or {}).get(spec.size, "") for spec in facts.installed}
    wrong = [spec for spec in facts.installed if rules[spec.name]]
    if wrong:
        rule = rules[wrong[0].name]
        seen = f"for sizes that {rule} does not allow this user: {_names(wrong)}"
        fix = (
            f"jupyter mig kernels remove {_names(wrong).replace(',', '')}, if nobody else uses them"
        )
        yield note("kernelspecs", seen, fix, _PAGE)


def _without_program(facts: SpecFacts) -> Iterator[Finding]:
    if facts.broken:
        seen = f"their program is not there any more: {_names(facts.broken)}"
        yield problem("kernelspecs", seen, _again(facts.broken), _PAGE)


def _outdated(facts: SpecFacts) -> Iterator[Finding]:
    older = [spec for spec in facts.installed if spec.version != facts.version]
    if older:
        seen = f"written by another version of this package: {_names(older)}"
        yield note("kernelspecs", seen, "jupyter mig kernels install writes them anew.", _PAGE)


def _runs(spec: Installed) -> bool:
    document = kernelspecs.read(spec.directory) or {}
    return shutil.which(str((document.get("argv") or [""])[0])) is not None


def _names(specs: list[Installed] | tuple[Installed, ...]) -> str:
    return ", ".join(dict.fromkeys(spec.name for spec in specs))


def _again(specs: list[Installed] | tuple[Installed, ...]) -> str:
    names = _names(specs).replace(",", "")
    return f"jupyter mig kernels remove {names}\njupyter mig kernels install"
