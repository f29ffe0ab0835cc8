"""The lines of Slurm's configuration files (slurm.conf(5)): keys in any case, comments, lines that
go on, files that are included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from jupyter_mig.broker.claimants.files import Unreadable, below, read

_PAIR = re.compile(r"(?<![\w.])([\w.]+)\s*[-+*/]?=\s*(?:\"([^\"]*)\"|(\S+))")
_INCLUDE = re.compile(r"\s*include\s+(\S+)", re.IGNORECASE)
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)#.*")
_CONTINUED = re.compile(r"(?<!\\)((?:\\\\)*)\\\s*\Z")
_DEEPEST = 16


class Line(msgspec.Struct, frozen=True):
    """What one line sets, by key in lower case, and where it is."""

    source: str
    values: Mapping[str, str]


class Lines:
    """Reads a file and what it includes, on the system whose root is there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._cluster = ""

    def of(self, file: Path) -> Iterator[Line]:
        """Its lines that set something; none if there is no such file. Raises Unreadable."""
        if read(file) is not None:
            yield from self._of(file, file.parent, 0)

    def _of(self, file: Path, home: Path, depth: int) -> Iterator[Line]:
        text = read(file)
        if text is None or depth > _DEEPEST:
            why = "it is not there" if text is None else "it is included too deep"
            raise Unreadable(file, why)
        for number, line in _joined(text):
            included = _INCLUDE.match(line)
            if included is not None:
                yield from self._of(self._meant(included[1], home), home, depth + 1)
                continue
            values = {key.lower(): quoted or plain for key, quoted, plain in _PAIR.findall(line)}
            self._cluster = values.get("clustername", self._cluster)
            if values:
                yield Line(f"{file} line {number}", values)

    def _meant(self, name: str, home: Path) -> Path:
        name = name.replace("%c", self._cluster)
        return below(self._root, name) if name.startswith("/") else home / name


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, those that go on as one, with the number of the first."""
    begun, first = "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = _COMMENT.sub(r"\1", raw)
        first = first or number
        more = _CONTINUED.search(line)
        if more is not None:
            begun += line[: more.start()] + more[1]
            continue
        yield first, begun + line
        begun, first = "", 0
    if begun:
        yield first, begun
