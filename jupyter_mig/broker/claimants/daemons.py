"""Daemons at work, by name. Only those of the system's owner count: others may call theirs so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from jupyter_mig.broker.claimants.files import Unreadable, names, read

_LONGEST_NAME = 15
"""The kernel cuts the names of processes there."""


class Daemon(msgspec.Struct, frozen=True):
    """One process. ``environ`` is empty where it is not ours to read."""

    pid: int
    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = {}

    def options(self, *spellings: str) -> Iterator[str]:
        """The values given to an option: ``-N node1``, ``-Nnode1``, ``--root-dir=/x``."""
        rest = iter(self.arguments[1:])
        for word in rest:
            for spelling in spellings:
                if word == spelling:
                    yield from [value for value in [next(rest, "")] if value]
                elif spelling.startswith("--") and word.startswith(f"{spelling}="):
                    yield word.partition("=")[2]
                elif not spelling.startswith("--") and word.startswith(spelling):
                    yield word[len(spelling) :]


def find(root: Path, name: str) -> list[Daemon]:
    """Those of that name, the oldest pid first."""
    return [
        Daemon(int(folder.name), _words(folder / "cmdline"), _environ(folder / "environ"))
        for folder in _processes(root / "proc")
        if _is(folder, name) and _is_owners(root, folder)
    ]


def _processes(proc: Path) -> list[Path]:
    try:
        pids = [name for name in names(proc) if name.isdecimal() and name.isascii()]
    except Unreadable:
        return []  # then files have to tell
    return [proc / pid for pid in sorted(pids, key=int)]


def _is(process: Path, name: str) -> bool:
    try:
        return (read(process / "comm") or "").strip() == name[:_LONGEST_NAME]
    except Unreadable:
        return False  # it has ended


def _is_owners(root: Path, process: Path) -> bool:
    try:
        return process.stat().st_uid == root.stat().st_uid
    except OSError:
        return False


def _words(file: Path) -> tuple[str, ...]:
    try:
        return tuple((read(file) or "").split("\0")[:-1])
    except Unreadable:
        return ()


def _environ(file: Path) -> dict[str, str]:
    return dict(word.split("=", 1) for word in _words(file) if "=" in word)
