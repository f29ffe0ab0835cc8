"""What ``--json`` prints."""

from __future__ import annotations

from pathlib import Path

import msgspec


def text(value: object) -> str:
    """Any of our views, or plain lists and dictionaries of them, as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_path), indent=2).decode()


def _path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError  # msgspec makes this a TypeError that names the type
