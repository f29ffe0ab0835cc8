"""Packages that this one needs, and how new they have to be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version

import msgspec

import jupyter_mig
from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem

_FLOOR = re.compile(r"^(?P<name>[\w.-]+)>=(?P<floor>[\d.]+)$")
_OPTIONAL = ("ipykernel>=6", "jupyterlab>=4.2")
"""What most people have beside us; kernels and front ends may as well live elsewhere."""


class VersionFacts(msgspec.Struct, frozen=True):
    """Requirements such as ``msgspec>=0.19``, and what is installed, by name."""

    needed: Sequence[str]
    wanted: Sequence[str]
    installed: Mapping[str, str]


def look() -> VersionFacts:
    """Ask the metadata of what is installed."""
    needed = [line for line in requires("jupyter-mig") or () if ";" not in line]
    names = [one["name"] for line in (*needed, *_OPTIONAL) if (one := _FLOOR.match(line))]
    found = {name: text for name in names if (text := _version(name))}
    return VersionFacts(needed, _OPTIONAL, found)


def check(facts: VersionFacts) -> Iterator[Finding]:
    """Those that are too old or missing."""
    bad = [
        *(problem("packages", *words) for words in _short(facts.needed, facts.installed)),
        *(note("packages", *words) for words in _short(facts.wanted, facts.installed)),
    ]
    yield from bad or [ok("packages", f"jupyter_mig {jupyter_mig.__version__} and what it needs")]


def _short(lines: Sequence[str], installed: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        wanted = _FLOOR.match(line)
        if wanted is None:
            continue
        name, floor = wanted["name"], wanted["floor"]
        fix = f'pip install "{line}"'
        if name not in installed:
            yield f"{name} is not installed here", fix
        elif _numbers(installed[name]) < _numbers(floor):
            yield f"{name} is {installed[name]}, needed is {floor}", fix


def _numbers(text: str) -> tuple[int, ...]:
    """The release, without what marks it as unfinished: ``8.0.0rc1`` is 8, 0, 0."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
