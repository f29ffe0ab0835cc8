"""What ``--json`` prints."""

from __future__ import annotations

import msgspec


def text(value: object) -> str:
    """Any of our views, or plain lists and dictionaries of them, as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
